"""Types into an interactive shell, in a pseudo-terminal: type.py OUT SHELL ARGUMENTS… <keys

Keys are one JSON list of strings, a line each, every one ending with Enter. The next line is typed when the last has
made OUT longer. What stood on the screen goes to standard output.
"""
import json, os, pty, select, sys, time

out, argv = sys.argv[1], sys.argv[2:]
lines = json.load(sys.stdin)
child, terminal = pty.fork()
if child == 0:
    os.execvp(argv[0], argv)
screen = b""


def watch(until, what):
    global screen
    end = time.monotonic() + 60
    while not until():
        if time.monotonic() > end:
            sys.stdout.write(screen.decode(errors="replace"))
            sys.exit(f"nothing came of {what!r}")
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                screen += os.read(terminal, 65536)
            except OSError:
                sys.exit(f"the shell has ended at {what!r}: " + screen.decode(errors="replace"))


watch(lambda: b"READY>" in screen, "the beginning")
for line in lines:
    before = os.path.getsize(out)
    os.write(terminal, line.encode())
    watch(lambda: os.path.getsize(out) > before, line)
os.write(terminal, b"exit\r")
sys.stdout.write(screen.decode(errors="replace"))
