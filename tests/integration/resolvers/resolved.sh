# shellcheck shell=bash
# systemd-resolved in front of dnsgate, in a network and with files of its own, without D-Bus. Run by unshare, as root.
# It resolves only where it sees a way out: a link with an address, whose other end is in the same network.
ip link add near type veth peer name far
ip address add 10.99.0.1/24 dev near
ip link set near up
ip link set far up

cp /etc/passwd /etc/group "$WORK"
echo 'systemd-resolve:x:996:996::/:/usr/sbin/nologin' >>"$WORK/passwd"
echo 'systemd-resolve:x:996:' >>"$WORK/group"
mount --bind "$WORK/passwd" /etc/passwd
mount --bind "$WORK/group" /etc/group
mount -t tmpfs none /run
mkdir -p /run/systemd/resolve "$WORK/systemd"
chown 996:996 /run/systemd/resolve
cat >"$WORK/systemd/resolved.conf" <<END
[Resolve]
DNS=127.0.0.1:5353
FallbackDNS=
Domains=~.
DNSSEC=no
LLMNR=no
MulticastDNS=no
ReadEtcHosts=no
CacheFromLocalhost=yes
END
mount --bind "$WORK/systemd" /etc/systemd

printf '%s' "$CONFIG" >"$WORK/dnsgate.yaml"
start "$DNSGATE" serve --config "$WORK/dnsgate.yaml" --listen 127.0.0.1:5353 --admin 127.0.0.1:9153
ready
library="$(dirname "$(find "${RESOLVED%%/lib/systemd/*}" -name 'libsystemd-shared-*.so' -print -quit)")"
start env LD_LIBRARY_PATH="$library" "$RESOLVED"
until dig @127.0.0.53 www.allowed.net +short +time=1 +tries=1 | grep -q 192.0.2.2; do sleep 0.1; done

# shellcheck disable=SC2086 # a question is a name and a type
ask() { dig @127.0.0.53 $1 +time=10 +tries=1; }
denied() { page /metrics | awk '/^dnsgate_denied_total/ { sum += $NF } END { print sum + 0 }'; }
while read -r question; do
    echo "=== $question"
    ask "$question"
done <<<"$QUESTIONS"
while read -r question; do
    before="$(denied)"
    for _ in 1 2 3; do ask "$question" >/dev/null; done
    echo "again $(($(denied) - before))"
done <<<"$AGAIN"
