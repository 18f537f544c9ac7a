# SPDX-License-Identifier: Apache-2.0
"""A plot of lines over two logarithmic axes, written as SVG by hand: no library, and the same bytes for the same figures."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 165, 44, 52
COLORS = ["#555555", "#d1495b", "#00798c", "#edae49", "#7d5ba6", "#66a182"]


class Axis:
    """Maps a value's logarithm to pixels, over whole parts of 1, 2, 5, 10 around the values."""

    STEPS = (1, 2, 5)

    def __init__(self, values, begin, end):
        self.begin, self.end = begin, end
        low, high = math.log10(min(values)), math.log10(max(values))
        grid = [step * 10.0**power for power in range(math.floor(low) - 1, math.ceil(high) + 2) for step in self.STEPS]
        self.low = max(tick for tick in grid if tick <= min(values) * 1.0001)
        self.high = min(tick for tick in grid if tick >= max(values) * 0.9999)
        if self.low == self.high:
            self.high = self.low * 10
        self.ticks = [tick for tick in grid if self.low <= tick <= self.high]

    def at(self, value):
        part = math.log10(value / self.low) / math.log10(self.high / self.low)
        return round(self.begin + part * (self.end - self.begin), 1)


def short(value):
    for size, name in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"


def text(x, y, words, anchor="middle", size=12, color="#222222", extra=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{extra}>{escape(words)}</text>'


def frame(x, y, labels):
    parts = [text(WIDTH / 2 - 40, 24, labels["title"], size=15)]
    for tick in x.ticks:
        at = x.at(tick)
        parts.append(f'<line x1="{at}" y1="{TOP}" x2="{at}" y2="{HEIGHT - BOTTOM}" stroke="#dddddd"/>')
        parts.append(text(at, HEIGHT - BOTTOM + 18, short(tick)))
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}" stroke="#dddddd"/>')
        parts.append(text(LEFT - 8, at + 4, short(tick), anchor="end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, labels["x"]))
    parts.append(text(16, middle, labels["y"], extra=f' transform="rotate(-90 16 {middle})"'))
    return parts


def plot(labels, lines):
    """`labels` has title, x and y; `lines` are (name, color's number, is_dashed, [(x, y)])."""
    points = [point for line in lines for point in line[3]]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    parts += frame(x, y, labels)
    for place, (name, number, is_dashed, line) in enumerate(lines):
        color, dash = COLORS[number % len(COLORS)], ' stroke-dasharray="6 4"' if is_dashed else ""
        path = " ".join(f"{x.at(a)},{y.at(b)}" for a, b in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x.at(a)}" cy="{y.at(b)}" r="3" fill="{color}"/>' for a, b in line]
        at = TOP + 10 + 20 * place
        parts.append(f'<line x1="{WIDTH - RIGHT + 12}" y1="{at}" x2="{WIDTH - RIGHT + 40}" y2="{at}" stroke="{color}" stroke-width="2"{dash}/>')
        parts.append(text(WIDTH - RIGHT + 46, at + 4, name, anchor="start"))
    return "\n".join(parts + ["</svg>", ""])
