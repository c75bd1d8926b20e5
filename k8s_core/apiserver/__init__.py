"""kube-apiserver: one request's way in (who, may, valid, store) and the answer's way back."""
