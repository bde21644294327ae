#!/usr/bin/env python3
"""Draws docs/scale.svg and the table of docs/scale.md: starlane-bench scale --json | bench/scale.py docs"""
import json
import math
import pathlib
import re
import sys

WIDTH, HEIGHT, LEFT, TOP = 380, 220, 60, 30
CURVES = [("gossip a node sends in a second", "KiB/s", 1024.0), ("memory of a node", "KiB", 1024.0),
          ("until all know each other", "s", 1.0), ("until a death is known", "s", 1.0),
          ("placements refused, chosen blindly", "%", 1.0), ("placements refused, free by the view", "%", 1.0),
          ("placements refused, free by the newest of it", "%", 1.0)]


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def read(stream):
    """{what: [(nodes, value)]}"""
    rows = {}
    for line in stream:
        row = json.loads(line)
        match = re.match(r"(.*), (\d+) nodes$", row["what"])
        rows.setdefault(match.group(1), []).append((int(match.group(2)), row["starlane"]["median"]))
    return {what: sorted(points) for what, points in rows.items()}


def curve(points, title, unit, x0, y0):
    """One plot: nodes on a logarithmic axis, the value on a linear one from 0."""
    most = max(value for _, value in points) * 1.15 or 1
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])

    def place(nodes, value):
        x = x0 + LEFT + (math.log10(nodes) - low) / (high - low) * (WIDTH - LEFT - 30)
        return x, y0 + HEIGHT - 30 - value / most * (HEIGHT - TOP - 30)

    out = [f'<text x="{x0 + LEFT}" y="{y0 + 18}" class="t">{title}, {unit}</text>']
    base = y0 + HEIGHT - 30
    out.append(f'<path d="M{x0 + LEFT} {y0 + TOP}V{base}H{x0 + WIDTH - 20}" class="a"/>')
    line = " ".join("%.1f,%.1f" % place(*point) for point in points)
    out.append(f'<polyline points="{line}" class="c"/>')
    for nodes, value in points:
        x, y = place(nodes, value)
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        out.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" class="v">{shown(value)}</text>')
        out.append(f'<text x="{x:.1f}" y="{base + 16}" class="v">{nodes}</text>')
    return out


def picture(rows):
    tall = (len(CURVES) + 1) // 2 * HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {tall + 20}" '
           'font-family="sans-serif" font-size="11"><style>.a{fill:none;stroke:#888}.c{fill:none;stroke:#06c;'
           'stroke-width:2}.t{font-size:13px;font-weight:bold}.v{text-anchor:middle}circle{fill:#06c}</style>',
           '<rect width="100%" height="100%" fill="#fff"/>']
    for i, (what, unit, divisor) in enumerate(CURVES):
        points = [(nodes, value / divisor) for nodes, value in rows[what]]
        out += curve(points, what, unit, i % 2 * WIDTH, i // 2 * HEIGHT)
    out.append(f'<text x="{WIDTH}" y="{tall + 12}" class="v">nodes</text></svg>')
    return "\n".join(out) + "\n"


def table(rows):
    sizes = [nodes for nodes, _ in rows[CURVES[0][0]]]
    lines = ["| nodes | " + " | ".join(str(size) for size in sizes) + " |", "| --- |" + " ---: |" * len(sizes)]
    for what, unit, divisor in CURVES:
        values = dict(rows[what])
        lines.append(f"| {what}, {unit} | " + " | ".join(shown(values[size] / divisor) if size in values else "–" for size in sizes) + " |")
    return "\n".join(lines)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    rows = read(sys.stdin)
    (folder / "scale.svg").write_text(picture(rows))
    page = folder / "scale.md"
    parts = re.split(r"(?s)(?<=<!-- table -->\n).*?(?=\n<!-- end -->)", page.read_text())
    page.write_text(parts[0] + table(rows) + parts[1])


if __name__ == "__main__":
    main()
