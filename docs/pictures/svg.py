"""A screen of `tmux capture-pane -e -p` on standard input, as an SVG picture on standard output."""
import html, re, sys

TITLE = sys.argv[1] if len(sys.argv) > 1 else ""
CHAR, LINE, PAD = 8.4, 18, 14
COLOURS = {30: "#6b7280", 31: "#f87171", 32: "#86efac", 33: "#fde68a", 34: "#93c5fd", 35: "#d8b4fe", 36: "#67e8f9"}

lines = sys.stdin.read().rstrip("\n").split("\n")
while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip():
    lines.pop()
width = 80 * CHAR + 2 * PAD
height = len(lines) * LINE + 2 * PAD + 18
out = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}">',
    f"<title>{html.escape(TITLE)}</title>",
    f'<rect width="100%" height="100%" rx="8" fill="#111827"/>',
    '<g fill="#374151"><circle cx="18" cy="14" r="5"/><circle cx="34" cy="14" r="5"/><circle cx="50" cy="14" r="5"/></g>',
    '<g font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14" fill="#e5e7eb" xml:space="preserve">',
]
for number, line in enumerate(lines):
    column, style = 0, {}
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code:
            for word in (code.group(1) or "0").split(";"):
                n = int(word or 0)
                if n == 0:
                    style = {}
                elif n == 1:
                    style["font-weight"] = "bold"
                elif n == 2:
                    style["fill"] = "#9ca3af"
                elif n in COLOURS:
                    style["fill"] = COLOURS[n]
                elif n - 60 in COLOURS:
                    style["fill"] = COLOURS[n - 60]
                elif n in (22, 39):
                    style.pop("font-weight" if n == 22 else "fill", None)
            continue
        if piece.strip():
            more = "".join(f' {key}="{value}"' for key, value in style.items())
            x, y = PAD + column * CHAR, 18 + PAD + number * LINE + 10
            # textLength keeps columns in line whatever font is there
            out.append(
                f'<text x="{x:.1f}" y="{y}" textLength="{len(piece) * CHAR:.1f}"{more}>{html.escape(piece)}</text>'
            )
        column += len(piece)
out += ["</g>", "</svg>"]
print("\n".join(out))
