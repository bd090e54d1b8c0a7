"""A wire between two network devices that is as long and as bad as it is told: wire.py SEED DEVICE DEVICE

Makes both devices (TUN: IP packets, no Ethernet) and carries every packet from one to the other. Each line on standard
input is a JSON object that says how bad the wire is from now on, and is answered with a line:
{"delay": seconds one way, "jitter": up to so many more, by chance, so that packets overtake each other,
 "lost": the share that never arrives, "twice": the share that arrives twice}. What is on its way keeps its time of
arrival. Ends, and the devices with it, when its input ends.
"""
import fcntl, heapq, json, os, random, select, struct, sys, time

chance, names = random.Random(int(sys.argv[1])), sys.argv[2:4]
TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001


def device(name):
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN_WITHOUT_HEADER))
    return end


def send(packet):
    now = time.monotonic()
    for _ in range(2 if chance.random() < bad["twice"] else 1):
        if chance.random() >= bad["lost"]:
            arrives = now + bad["delay"] + chance.random() * bad["jitter"]
            heapq.heappush(under_way, (arrives, next(numbers), *packet))


if not os.path.exists("/dev/net/tun"):
    os.makedirs("/dev/net", exist_ok=True)
    os.mknod("/dev/net/tun", 0o20600, os.makedev(10, 200))
ends = [device(name) for name in names]
other = {ends[0]: ends[1], ends[1]: ends[0]}
bad = {"delay": 0, "jitter": 0, "lost": 0, "twice": 0}
under_way, numbers = [], iter(range(1 << 62))
print("made", flush=True)
orders = b""
while True:
    pause = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    for ready in select.select([0, *ends], [], [], pause)[0]:
        if ready == 0:
            said = os.read(0, 65536)
            if not said:
                sys.exit()
            orders += said
            while b"\n" in orders:
                line, orders = orders.split(b"\n", 1)
                bad = json.loads(line)
                print("so it is", flush=True)
            continue
        try:
            send((other[ready], os.read(ready, 65536)))
        except OSError:
            pass  # the device is down
    while under_way and under_way[0][0] <= time.monotonic():
        _, _, end, packet = heapq.heappop(under_way)
        try:
            os.write(end, packet)
        except OSError:
            pass
