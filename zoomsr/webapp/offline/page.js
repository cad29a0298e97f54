// The page: a photograph, an area of it, the net in a worker, and the result. It loads nothing and sends nothing.
const MAX_SIDE = 16384, MAX_PIXELS = 1e8; // of a result: what a browser's canvas holds
const MIN_AREA = 16; // px of the photograph on each side
const FIRST = 1 << 20; // pixels that are chosen at first: about a minute's work
const TILE = matchMedia("(pointer: coarse)").matches ? 320 : 768; // the U-Net took 1.4 GB with 768; phones have less
const FIELDS = ["left", "top", "width", "height"];
const KEYS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

const part = (id) => document.getElementById(id);
const packed = (id) => part(id).textContent;
const facts = document.body.dataset, scale = Number(facts.scale), grid = Number(facts.grid);
const cut = {tile: upTo(TILE, grid), margin: upTo(Number(facts.halo), grid), grid};
const source = part("source"), picture = part("picture"), area = part("area");

let photo = null; // {name, width, height}
let chosen = null; // {left, top, width, height}, px of the photograph
let worker = null, isReady = false, broken = "";
let rate = 0; // seconds for a pixel that the net runs on
let work = null; // {whole, left, now, since}: pixels in all, after this tile, of this tile; when that began
let urls = [];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const say = (text, isError = false) => {
    part("status").textContent = text;
    part("status").classList.toggle("error", isError);
};

// ---- the worker

function startWorker() {
    const code = new Blob([packed("worker")], {type: "text/javascript"}), url = URL.createObjectURL(code);
    [worker, isReady] = [new Worker(url), false];
    worker.onmessage = ({data}) => ANSWERS[data.kind](data);
    worker.onerror = (event) => ANSWERS.failed({reason: event.message || "the worker cannot start"});
    worker.postMessage({wasm: packed("wasm"), net: packed("net"), bicubic: packed("bicubic")});
}

const ANSWERS = {
    ready: (data) => {
        [isReady, rate] = [true, data.rate];
        show();
    },
    tile: (data) => {
        if (work.since) rate = (performance.now() - work.since) / 1000 / work.now;
        Object.assign(work, {now: data.work, left: data.left, since: performance.now()});
    },
    done: (data) => {
        rate = (performance.now() - work.since) / 1000 / work.now;
        finish(data);
    },
    failed: ({reason}) => {
        const isMemory = /alloc|memory/i.test(reason);
        say(isMemory ? "The memory does not suffice: choose a smaller area." : `The net does not run: ${reason}`, true);
        if (isReady) stop();
        else broken = `the net does not run in this browser (${reason})`; // nor would it in another worker
    },
};

function enlarge() {
    const {left, top, width, height} = chosen, size = width * height;
    const {data} = source.getContext("2d", {willReadFrequently: true}).getImageData(left, top, width, height);
    const whole = workOf(cutTiles({top: 0, left: 0, bottom: height, right: width}, cut), cut.margin, height, width);
    work = {whole, left: whole, now: 0, since: 0, area: chosen, timer: setInterval(progress, 200)};
    worker.postMessage({pixels: data, width, height, scale, cut}, [data.buffer]);
    show();
    progress();
    part("cancel").focus();
}

function progress() {
    const done = work.whole - work.left - work.now; // before this tile
    const share = work.since ? Math.min(0.97, (performance.now() - work.since) / 1000 / rate / work.now) : 0;
    part("bar").value = clamp((done + share * work.now) / work.whole, 0, 1);
    part("remaining").textContent = `${seconds(((1 - share) * work.now + work.left) * rate)} left`;
}

function stop() { // the only way to interrupt it is to end the worker
    if (work) clearInterval(work.timer);
    work = null;
    worker.terminate();
    startWorker();
    show();
}

// ---- the photograph

async function open(file) {
    if (!file) return;
    if (work) stop();
    say(`Reading ${file.name} ...`);
    let bitmap;
    try {
        bitmap = await createImageBitmap(file, {imageOrientation: "from-image"});
    } catch {
        return say(`${file.name}: this browser reads no picture from it. Try PNG, JPEG or WebP.`, true);
    }
    const {width, height} = bitmap;
    Object.assign(source, {width, height});
    const canvas = source.getContext("2d", {willReadFrequently: true, colorSpace: "srgb"});
    canvas.drawImage(bitmap, 0, 0);
    bitmap.close();
    const isSeenThrough = hasAlpha(canvas, width, height);
    canvas.globalCompositeOperation = "destination-over";
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, width, height);
    photo = {name: file.name || "pasted", width, height};
    const fits = width * height <= FIRST, side = Math.floor(Math.sqrt(FIRST) / 2);
    choose(fits ? whole() : centred(Math.min(side, width), Math.min(side, height), width / 2, height / 2));
    part("results").hidden = true;
    say(`${photo.name}: ${width}x${height} pixels.${isSeenThrough ? " Its transparent parts are put on white." : ""}`);
}

function hasAlpha(canvas, width, height) {
    const rows = Math.max(1, Math.floor((1 << 20) / width));
    for (let top = 0; top < height; top += rows) {
        const {data} = canvas.getImageData(0, top, width, Math.min(rows, height - top));
        for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return true;
    }
    return false;
}

// ---- the area

const whole = () => ({left: 0, top: 0, width: photo.width, height: photo.height});
const centred = (width, height, x, y) => ({left: x - width / 2, top: y - height / 2, width, height});

function choose({left, top, width, height}) { // inside of the photograph, in whole pixels
    width = Math.round(clamp(width, Math.min(MIN_AREA, photo.width), photo.width));
    height = Math.round(clamp(height, Math.min(MIN_AREA, photo.height), photo.height));
    left = Math.round(clamp(left, 0, photo.width - width));
    top = Math.round(clamp(top, 0, photo.height - height));
    chosen = {left, top, width, height};
    show();
}

function seconds(count) {
    return count < 1.5 ? "a second" : count < 99 ? `${Math.round(count)} s` : `${Math.round(count / 60)} min`;
}

function show() {
    document.body.classList.toggle("working", work !== null);
    for (const control of document.querySelectorAll("#choose input, #choose button")) control.disabled = !photo || work;
    if (!photo) return;
    const {width, height} = photo;
    area.style.left = `${100 * chosen.left / width}%`;
    area.style.top = `${100 * chosen.top / height}%`;
    area.style.width = `${100 * chosen.width / width}%`;
    area.style.height = `${100 * chosen.height / height}%`;
    for (const name of FIELDS) {
        const field = part(name);
        field.max = name === "left" || name === "width" ? width : height;
        if (field !== document.activeElement) field.value = chosen[name];
    }
    const [across, down] = [chosen.width * scale, chosen.height * scale];
    const fits = Math.max(across, down) <= MAX_SIDE && across * down <= MAX_PIXELS;
    const parts = fits ? cutTiles({top: 0, left: 0, bottom: chosen.height, right: chosen.width}, cut) : [];
    const time = isReady ? `about ${seconds(workOf(parts, cut.margin, chosen.height, chosen.width) * rate)}` : broken || "the net is loading";
    const sizes = `${chosen.width}x${chosen.height} to ${across}x${down} pixels`;
    part("plan").textContent = fits ? `${sizes}, ${time}` : `${sizes} are more than a browser holds: choose a smaller area`;
    part("enlarge").disabled = !fits || !isReady || work !== null;
    part("photo").hidden = false;
}

const drag = {from: null, offset: null};
const place = (event) => {
    const box = source.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [clamp(x, 0, 1) * photo.width, clamp(y, 0, 1) * photo.height];
};

picture.addEventListener("pointerdown", (event) => {
    if (!photo || work || event.button) return;
    const [x, y] = place(event), {left, top, width, height} = chosen;
    const isInside = x >= left && x < left + width && y >= top && y < top + height;
    const isWhole = width === photo.width && height === photo.height;
    drag.from = [x, y];
    drag.offset = isInside && !isWhole ? [x - left, y - top] : null; // it is moved; else another is drawn
    picture.setPointerCapture(event.pointerId);
});
picture.addEventListener("pointermove", (event) => {
    if (!drag.from) return;
    const [x, y] = place(event), [x0, y0] = drag.from;
    if (drag.offset) choose({...chosen, left: x - drag.offset[0], top: y - drag.offset[1]});
    else if (Math.min(Math.abs(x - x0), Math.abs(y - y0)) >= MIN_AREA / 2) {
        choose({left: Math.min(x, x0), top: Math.min(y, y0), width: Math.abs(x - x0), height: Math.abs(y - y0)});
    }
});
for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => { drag.from = null; });
picture.addEventListener("keydown", (event) => {
    if (!photo || work || event.ctrlKey || event.metaKey || event.altKey) return;
    const {left, top, width, height} = chosen, arrow = KEYS[event.key];
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.min(photo.width, photo.height) / 40));
    const factor = event.key === "+" || event.key === "=" ? 1.25 : event.key === "-" ? 0.8 : 0;
    if (arrow) choose({...chosen, left: left + step * arrow[0], top: top + step * arrow[1]});
    else if (factor) choose(centred(width * factor, height * factor, left + width / 2, top + height / 2));
    else return;
    event.preventDefault();
});
for (const name of FIELDS) {
    part(name).addEventListener("change", ({target}) => {
        const value = Math.max(0, Number(target.value)), next = {...chosen, [name]: value};
        if (name === "left") next.width = Math.min(next.width, photo.width - value); // the corner goes where it is told
        if (name === "top") next.height = Math.min(next.height, photo.height - value);
        if (target.value) choose(next);
        target.value = chosen[name];
    });
}

// ---- the result

const asPng = (pixels, width, height) => new Promise((resolve, reject) => {
    const canvas = Object.assign(document.createElement("canvas"), {width, height});
    canvas.getContext("2d", {colorSpace: "srgb"}).putImageData(new ImageData(pixels, width, height), 0, 0);
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the result is larger than memory"))), "image/png");
});

async function finish({net, bicubic}) {
    const {width, height} = work.area, across = width * scale, down = height * scale;
    clearInterval(work.timer);
    part("bar").value = 1;
    let files;
    try {
        files = [await asPng(bicubic, across, down), await asPng(net, across, down)];
    } catch (error) {
        return ANSWERS.failed({reason: error.message});
    }
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = files.map((file) => URL.createObjectURL(file));
    const stack = document.querySelector("#compare .stack");
    Object.assign(stack.dataset, {width: across, height: down});
    document.querySelector("#compare .before img").src = urls[0];
    document.querySelector("#compare .after img").src = urls[1];
    const isWhole = width === photo.width && height === photo.height, link = part("download");
    link.href = urls[1];
    link.download = `${photo.name.replace(/\.[^.]*$/, "")}-${isWhole ? "" : `${width}x${height}-`}x${scale}.png`;
    part("size").textContent = `${across}x${down} pixels, ${(files[1].size / 1e6).toFixed(1)} MB`;
    work = null;
    show();
    part("results").hidden = false;
    showCompared();
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    part("results").scrollIntoView({behavior});
    link.focus({preventScroll: true});
}

// ---- events

part("file").addEventListener("change", (event) => {
    open(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
});
part("all").addEventListener("click", () => choose(whole()));
part("enlarge").addEventListener("click", enlarge);
part("cancel").addEventListener("click", () => {
    stop();
    say("Cancelled.");
    part("enlarge").focus();
});
document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) event.preventDefault();
    open(file);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
        event.preventDefault();
        document.body.classList.toggle("dropping", kind === "dragover");
        if (kind === "drop") open(event.dataTransfer.files[0]);
    });
}

startWorker();
