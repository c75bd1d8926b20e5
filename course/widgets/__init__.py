"""What a notebook draws: the cluster, live and at any past revision, and the way of one request.

Every picture is an SVG made in Python from plain data, so it is the same in the widget, on the web and in print, and
comes with the same facts as text. The widgets add play, step, speed and a slider.
"""
