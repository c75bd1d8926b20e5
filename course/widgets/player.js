// The front end of every course widget: a picture, its text, and controls to move through its history.
// Plain ESM for anywidget; no build step. The kernel draws; this shows, and says where the reader wants to be.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  const caption = element("p", { class: "k8s-caption", "aria-live": "polite" });
  const picture = element("div", { class: "k8s-picture" });
  const text = element("pre", { tabindex: "0" });
  const button = (label, title) => element("button", { type: "button", title, "aria-label": title }, label);
  const back = button("◀", "one step back");
  const play = button("▶", "play");
  const forward = button("▶❙", "one step forward");
  const slider = element("input", { type: "range", min: "0", step: "1", "aria-label": "history" });
  const speed = element("select", { "aria-label": "speed" });
  for (const value of [0.5, 1, 2, 5, 10]) speed.append(element("option", { value }, `${value}×`));
  const controls = element("div", { class: "k8s-controls", role: "toolbar", "aria-label": "history" },
    back, play, forward, slider, speed);
  const root = element("div", { class: "k8s-player", role: "group" },
    picture, controls, caption, element("details", {}, element("summary", {}, "as text"), text));
  el.append(root);

  // Sliders of a picture that is computed from numbers; a widget without `knobs` has none.
  const knobs = {};
  for (const [name, knob] of Object.entries(model.get("knobs") || {}).reverse()) {
    const input = element("input", { type: "range", min: knob.min, max: knob.max, step: knob.step, "aria-label": name });
    const value = element("output");
    input.addEventListener("input", () => model.send({ type: "knob", name, value: Number(input.value) }));
    knobs[name] = [input, value];
    controls.after(element("label", { class: "k8s-knob" }, element("span", {}, name), input, value));
  }

  const get = (name) => model.get(name);
  const set = (name, value) => { model.set(name, value); model.save_changes(); };
  const go = (position) => set("position", Math.max(0, Math.min(get("last"), position)));

  function draw() {
    picture.innerHTML = get("svg");
    const svg = picture.querySelector("svg");
    if (svg) { svg.removeAttribute("width"); svg.removeAttribute("height"); }
    text.textContent = get("text");
    caption.textContent = get("caption");
    // There is nothing to move through in a picture of sliders, or of one page that stays the last one.
    controls.hidden = Object.keys(knobs).length > 0 || (get("last") === 0 && !get("live"));
    slider.max = get("last");
    slider.value = get("position");
    slider.setAttribute("aria-valuetext", get("caption"));
    root.setAttribute("aria-label", get("label"));
    play.textContent = get("playing") ? "❚❚" : "▶";
    const title = get("playing") ? "pause" : "play";
    play.title = title;
    play.setAttribute("aria-label", title);
    speed.value = String(get("speed"));
    for (const [name, [input, value]] of Object.entries(knobs)) {
      const knob = get("knobs")[name];
      if (document.activeElement !== input) input.value = knob.value;
      value.textContent = `${knob.value}${knob.unit}`;
    }
  }

  let timer = 0;
  function schedule() {
    clearTimeout(timer);
    if (!get("playing")) return;
    timer = setTimeout(() => { model.send({ type: "tick" }); schedule(); }, 1000 / (get("live") ? 1 : get("speed")));
  }

  back.addEventListener("click", () => { set("playing", false); go(get("position") - 1); });
  forward.addEventListener("click", () => { set("playing", false); model.send({ type: "forward" }); });
  play.addEventListener("click", () => set("playing", !get("playing")));
  slider.addEventListener("input", () => { set("playing", false); go(Number(slider.value)); });
  speed.addEventListener("change", () => set("speed", Number(speed.value)));
  // Parts of a picture that can be pressed say so with data-act; the kernel does what they ask for.
  const act = (event) => {
    const part = event.target.closest("[data-act]");
    if (part) { set("playing", false); model.send({ type: "act", act: part.dataset.act }); event.preventDefault(); }
  };
  picture.addEventListener("click", act);
  picture.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") act(event); });
  // JupyterLab's own shortcuts must not take the arrow keys and the space bar from the controls.
  root.addEventListener("keydown", (event) => event.stopPropagation());

  const changed = () => { draw(); schedule(); };
  model.on("change:svg change:text change:caption change:position change:last change:knobs", draw);
  model.on("change:playing change:speed change:live", changed);
  changed();
  return () => clearTimeout(timer);
}

export default { render };
