// The before/after view of results.html.j2: its edge, zoom and pan. Gradio runs this once, for an element whose content
// changes; so listeners and what has to outlast a change are on the element itself.
const LARGEST = 8, WHEEL = 0.002, PINCH = 0.01, LINE = 33, ARROW = 40;
const ARROWS = {ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
let zoom = 0; // pixels of the page for one of the picture; 0: all of it is seen, 1:1 at most
let x = 0, y = 0; // left top corner of the picture in the view
let shown = null, lastWheel = -Infinity;
const pointers = new Map();

const stack = () => element.querySelector(".stack");

function view() {
    const box = stack(), {width, height} = box.dataset;
    const fit = Math.min(1, box.clientWidth / width, box.clientHeight / height);
    return {across: box.clientWidth, down: box.clientHeight, width, height, fit, now: zoom || fit};
}

// Inside of the view, or in its middle where there is room to spare.
const kept = (offset, spare) => (spare > 0 ? spare / 2 : Math.min(0, Math.max(spare, offset)));

function show() {
    if (!stack()) return;
    for (const side of ["width", "height"]) element.style.setProperty(`--${side}`, stack().dataset[side]);
    if (!stack().clientWidth) return;
    const source = element.querySelector(".before img").src;
    if (source !== shown) [shown, zoom] = [source, 0]; // another result
    if (zoom <= view().fit) zoom = 0;
    const {across, down, width, height, now} = view();
    x = kept(x, across - width * now);
    y = kept(y, down - height * now);
    element.style.setProperty("--zoom", now);
    element.style.setProperty("--x", `${Math.round(x)}px`); // whole pixels: others would blur 1:1
    element.style.setProperty("--y", `${Math.round(y)}px`);
    element.toggleAttribute("data-zoomed", zoom > 0);
    element.toggleAttribute("data-pixels", now > 1);
    element.querySelector("[data-zoom=toggle]").textContent = `${Math.round(100 * now)}%`;
}

// What is at a place of the view stays there.
function zoomTo(wanted, left, top) {
    const {fit, now} = view();
    zoom = Math.min(LARGEST, Math.max(fit, wanted));
    x = left - (left - x) * zoom / now;
    y = top - (top - y) * zoom / now;
    show();
}

function toggle(left, top) {
    const {fit} = view();
    zoomTo(zoom ? fit : fit < 1 ? 1 : 2, left, top);
}

function move(right, down) {
    x += right;
    y += down;
    show();
}

function step(direction, {across, down, now} = view()) { // to the next power of two
    const power = Math.log2(now);
    zoomTo(2 ** (direction > 0 ? Math.floor(power + 1.001) : Math.ceil(power - 1.001)), across / 2, down / 2);
}

function place(event) {
    const box = stack().getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
}

const isInView = (event) => event.target.closest?.(".stack");

element.addEventListener("wheel", (event) => {
    if (!isInView(event)) return;
    const {fit, now} = view(), turned = event.deltaY * (event.deltaMode ? LINE : 1) * (event.ctrlKey ? PINCH : WHEEL);
    const isAtEnd = turned > 0 ? now <= fit : now >= LARGEST;
    // At an end the page scrolls, but not by the rest of the turn that led there. With Ctrl it would be magnified.
    if (isAtEnd && !event.ctrlKey && event.timeStamp - lastWheel > 300) return;
    event.preventDefault();
    lastWheel = event.timeStamp;
    zoomTo(now * Math.exp(-Math.max(-0.5, Math.min(0.5, turned))), ...place(event));
}, {passive: false});

element.addEventListener("pointerdown", (event) => {
    if (!isInView(event) || event.button) return;
    pointers.set(event.pointerId, place(event));
    stack().setPointerCapture(event.pointerId);
});
element.addEventListener("pointermove", (event) => {
    const old = pointers.get(event.pointerId);
    if (!old) return;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1], now = place(event);
    pointers.set(event.pointerId, now);
    if (!other) return move(now[0] - old[0], now[1] - old[1]);
    const [before, after] = [old, now].map(([left, top]) => Math.hypot(left - other[0], top - other[1]));
    zoomTo(view().now * after / Math.max(1, before), ...other); // the other finger stays where it is
});
for (const end of ["pointerup", "pointercancel"]) {
    element.addEventListener(end, (event) => pointers.delete(event.pointerId));
}
element.addEventListener("dblclick", (event) => isInView(event) && toggle(...place(event)));

element.addEventListener("click", (event) => {
    const action = event.target.closest("[data-zoom]")?.dataset.zoom, {across, down} = action ? view() : {};
    if (action === "toggle") toggle(across / 2, down / 2);
    else if (action) step(action === "in" ? 1 : -1);
});
document.addEventListener("keydown", (event) => {
    const isUnderPointer = element.querySelector(".stack:hover") && !event.target.closest("input, textarea");
    if (!(isUnderPointer || element.contains(event.target)) || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = isInView(event) && ARROWS[event.key];
    if (event.key === "+" || event.key === "=") step(1);
    else if (event.key === "-") step(-1);
    else if (arrow) move(ARROW * arrow[0], ARROW * arrow[1]);
    else return;
    event.preventDefault();
});
element.addEventListener("input", (event) => {
    if (event.target.type === "range") element.style.setProperty("--edge", `${event.target.value}%`);
});

new ResizeObserver(show).observe(element);
watch("value", show);
show();
