# SPDX-License-Identifier: GPL-2.0-or-later
"""A timeline of a boot as SVG: one row per span or moment, guest time in seconds."""
from html import escape

WIDTH, LEFT, ROW, TOP = 900, 250, 26, 54
COLOURS = {"dom0": "#7a8ca3", "gate": "#2f7d4f", "person": "#b5651d",
           "sys-usb": "#35608f"}


def svg(title, rows):
    """rows: (label, who, start ms, end ms or None), any of the times may be None."""
    rows = sorted((row for row in rows if row[2] is not None),
                  key=lambda row: row[2])
    last = max(max(start, end or 0) for _, _, start, end in rows)
    step = next(s for s in (1, 2, 5, 10, 20, 60) if last / 1000 / s <= 14)
    scale = (WIDTH - LEFT - 90) / last
    height = TOP + ROW * len(rows) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="12" y="22" font-size="15">{escape(title)}</text>']
    for second in range(0, int(last / 1000) + 1, step):
        x = LEFT + second * 1000 * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" '
                   f'y2="{height - 24}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 9}" text-anchor="middle" '
                   f'fill="#666">{second} s</text>')
    for n, (label, who, start, end) in enumerate(rows):
        y = TOP + n * ROW
        x = LEFT + start * scale
        out.append(f'<text x="{LEFT - 10}" y="{y + 10}" text-anchor="end">'
                   f'{escape(label)}</text>')
        colour = COLOURS[who]
        if end is None:
            out.append(f'<circle cx="{x:.1f}" cy="{y + 6}" r="5" fill="{colour}"/>')
            after = x + 9
            text = f"{start / 1000:.1f} s"
        else:
            width = max(3, (end - start) * scale)
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="12" '
                       f'rx="2" fill="{colour}"/>')
            after = x + width + 5
            text = f"{(end - start) / 1000:.1f} s"
        out.append(f'<text x="{after:.1f}" y="{y + 10}" fill="#444">{text}</text>')
    x = LEFT
    for who, colour in COLOURS.items():
        out.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{x + 14}" y="41">{who}</text>')
        x += 90
    return "\n".join(out + ["</svg>"]) + "\n"
