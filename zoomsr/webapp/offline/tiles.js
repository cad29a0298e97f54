// Tiles as zoomsr/engines/tiling.py cuts them, for the page and its worker. {tile, margin, grid} are in lr pixels.
const upTo = (value, grid) => Math.ceil(value / grid) * grid;

// All sides into which a length can be divided evenly, on the net's grid.
function* partSides(length, grid) {
    let side = upTo(length, grid);
    yield side;
    while (side - grid >= grid) {
        side = upTo(Math.ceil(length / Math.ceil(length / (side - grid))), grid);
        yield side;
    }
}

// [height, width] of the parts that cause the least work, none larger with its halo than a square tile with its own.
function tileSides(height, width, {tile, margin, grid}) {
    const most = (tile + 2 * margin) ** 2;
    let best = null;
    for (const side of partSides(height, grid)) {
        const room = Math.floor(most / Math.min(height, side + 2 * margin)); // along the other side
        const widest = width <= room ? width : Math.floor((room - 2 * margin) / grid) * grid;
        if (widest < 1) continue;
        const other = upTo(Math.ceil(width / Math.ceil(width / widest)), grid);
        const rows = Math.ceil(height / side), columns = Math.ceil(width / other);
        const work = (height + 2 * margin * (rows - 1)) * (width + 2 * margin * (columns - 1));
        const key = [work, rows * columns, side, other];
        const at = best ? key.findIndex((value, place) => value !== best[place]) : 0;
        if (at >= 0 && (!best || key[at] < best[at])) best = key;
    }
    return best.slice(2);
}

// The parts of a region {top, left, bottom, right}, rows first.
function cutTiles(region, cut) {
    const [height, width] = tileSides(region.bottom - region.top, region.right - region.left, cut), found = [];
    for (let top = region.top; top < region.bottom; top += height) {
        for (let left = region.left; left < region.right; left += width) {
            const bottom = Math.min(top + height, region.bottom), right = Math.min(left + width, region.right);
            found.push({top, left, bottom, right});
        }
    }
    return found;
}

// With a margin on every side, clipped to the picture.
function grown({top, left, bottom, right}, margin, height, width) {
    return {
        top: Math.max(0, top - margin), left: Math.max(0, left - margin),
        bottom: Math.min(height, bottom + margin), right: Math.min(width, right + margin),
    };
}

const pixelsOf = ({top, left, bottom, right}) => (bottom - top) * (right - left);

// Pixels that the net runs on, halos and all.
const workOf = (regions, margin, height, width) =>
    regions.reduce((sum, region) => sum + pixelsOf(grown(region, margin, height, width)), 0);
