// The net in a worker: ort and tiles.js stand before this. It is sent {wasm, net, bicubic} once, gzip in base64 each,
// then {pixels, width, height, scale, cut}: 8-bit RGBA, a photograph or an area of one.
const PROBE = 64; // side of the picture whose time is taken first
let sessions = null;

async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start({wasm, net, bicubic}) {
    ort.env.wasm.numThreads = 1; // more need a server that isolates the page
    ort.env.wasm.wasmBinary = (await unpacked(wasm)).buffer;
    sessions = {};
    for (const [name, graph] of Object.entries({net, bicubic})) {
        sessions[name] = await ort.InferenceSession.create(await unpacked(graph), {executionProviders: ["wasm"]});
    }
    const planes = new Uint8Array(3 * PROBE ** 2);
    await run("net", planes, PROBE, PROBE); // the first run is slower
    const before = performance.now();
    await run("net", planes, PROBE, PROBE);
    postMessage({kind: "ready", rate: (performance.now() - before) / 1000 / PROBE ** 2});
}

async function run(name, planes, height, width) {
    const {output} = await sessions[name].run({input: new ort.Tensor("uint8", planes, [1, 3, height, width])});
    const data = output.data;
    output.dispose();
    return data;
}

// (3, height, width) from interleaved RGBA, of which alpha is left out.
function planesOf(pixels, {top, left, bottom, right}, width) {
    const height = bottom - top, across = right - left, size = height * across, planes = new Uint8Array(3 * size);
    for (let row = 0, to = 0; row < height; row++) {
        for (let from = 4 * ((top + row) * width + left), end = to + across; to < end; to++, from += 4) {
            for (let channel = 0; channel < 3; channel++) planes[to + channel * size] = pixels[from + channel];
        }
    }
    return planes;
}

// The inside of a tile's planes into interleaved RGBA; all sides are the result's.
function paste(planes, outer, inner, out, width) {
    const across = outer.right - outer.left, size = pixelsOf(outer);
    for (let row = inner.top; row < inner.bottom; row++) {
        let from = (row - outer.top) * across + inner.left - outer.left, to = 4 * (row * width + inner.left);
        for (const end = from + inner.right - inner.left; from < end; from++, to += 4) {
            for (let channel = 0; channel < 3; channel++) out[to + channel] = planes[from + channel * size];
        }
    }
}

const times = (region, scale) => Object.fromEntries(Object.entries(region).map(([side, at]) => [side, at * scale]));

async function upscale({pixels, width, height, scale, cut}) {
    const results = {};
    for (const name in sessions) results[name] = new Uint8ClampedArray(4 * width * height * scale ** 2).fill(255);
    let waiting = cutTiles({top: 0, left: 0, bottom: height, right: width}, cut);
    while (waiting.length) {
        const outer = grown(waiting[0], cut.margin, height, width);
        postMessage({kind: "tile", work: pixelsOf(outer), left: workOf(waiting.slice(1), cut.margin, height, width)});
        const planes = planesOf(pixels, outer, width), inner = times(waiting[0], scale);
        try {
            for (const name in sessions) {
                const sr = await run(name, planes, outer.bottom - outer.top, outer.right - outer.left);
                paste(sr, times(outer, scale), inner, results[name], width * scale);
            }
            waiting.shift();
        } catch (error) {
            if (cut.tile <= cut.grid || !/alloc|memory/i.test(error)) throw error;
            cut = {...cut, tile: upTo(cut.tile / 2, cut.grid)};
            waiting = waiting.flatMap((region) => cutTiles(region, cut));
        }
    }
    const {net, bicubic} = results;
    postMessage({kind: "done", net, bicubic}, [net.buffer, bicubic.buffer]);
}

self.onmessage = async ({data}) => {
    try {
        await (data.pixels ? upscale(data) : start(data));
    } catch (error) {
        postMessage({kind: "failed", reason: String(error?.message ?? error)});
    }
};
