# shellcheck shell=bash
# dnsgate as the only name server of a machine with a search list; each resolver looks an allowed name up, for each way to deny.
# Prints, for each: what it found, and every question that dnsgate was asked, with the code of its reply.
cat >"$WORK/resolv.conf" <<END
nameserver 127.0.0.1
search c.proj.internal google.internal svc.cluster.local
options ndots:5
END
echo 'hosts: files dns' >"$WORK/nsswitch.conf"
mount --bind "$WORK/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --bind "$WORK/nsswitch.conf" /etc/nsswitch.conf
# A cache of names outside of this network would answer in dnsgate's place.
[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd

for way in $WAYS; do
    cat >"$WORK/dnsgate.yaml" <<END
clients: { all: { cidrs: [127.0.0.0/8] } }
deny_with: $way
limits: { drain: 0s }
log: { queries: all, format: json, output: "file:$WORK/queries" }
END
    : >"$WORK/queries"
    start "$DNSGATE" serve --config "$WORK/dnsgate.yaml" --listen 127.0.0.1:53 --admin 127.0.0.1:9153
    ready
    while IFS=$'\t' read -r name command; do
        [ -n "$name" ] || continue
        before="$(wc -l <"$WORK/queries")"
        echo "=== $name $way"
        eval "$command ${NAME:-storage.googleapis.com}" 2>&1 || true
        # One more question, which is logged behind all of them.
        dig @127.0.0.1 "$name-$way.done.com" +time=1 +tries=1 >/dev/null || true
        until tail -n "+$((before + 1))" "$WORK/queries" | grep -q "$name-$way.done.com"; do sleep 0.05; done
        # Without this question, and without those that dnsgate asks itself.
        tail -n "+$((before + 1))" "$WORK/queries" | python3 -c '
import json, sys
for line in sys.stdin:
    query = json.loads(line)
    if query.get("reason") != "class" and not query.get("queryName", ".done.com.").endswith(".done.com."):
        print("asked", query["queryName"], query["queryType"], query.get("responseCode", "none"))'
    done <<<"$COMMANDS"
    stop
done
