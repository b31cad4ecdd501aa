# What every trial in a guest uses; a trial sources it. The facts go to /lab/report as NAME=VALUE,
# logs beside it.
set -u
exec 2>/lab/trial.log
set -x

FAR4=10.9.0.1 FAR6=2001:db8:9::1

report() { echo "$1=$2" >>/lab/report; }

property() { systemctl show --property="$2" --value "$1"; } # unit name

report_units() { # unit...: as they are after boot
    local unit name
    for unit; do
        for name in ActiveEnterTimestampMonotonic Type NRestarts; do
            report "$unit.$name" "$(property "$unit" $name)"
        done
    done
}

finish() {
    local name
    systemd-analyze time >/lab/analyze.log 2>&1
    systemd-analyze blame --no-pager >>/lab/analyze.log 2>&1
    systemd-analyze critical-chain --no-pager >>/lab/analyze.log 2>&1
    podman ps --all >/lab/containers.log 2>&1
    for name in $(podman ps --all --format='{{.Names}}'); do
        podman logs "$name" >"/lab/$name.log" 2>&1
    done
    journalctl --boot --no-pager --output=short-precise >/lab/journal.log 2>&1
    report end "$1"
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}

await() { # what command...: within 5 minutes
    local what=$1 deadline=$((SECONDS + 300))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || finish "no: $what"
        sleep 0.2
    done
    report "$what" "$(cut -d' ' -f1 /proc/uptime)"
}

reaches() { ping -c1 -W1 $FAR4 && ping -c1 -W1 $FAR6; }

add_routes() {
    ip route replace $FAR4 via 10.21.0.1
    ip route replace $FAR6 via 2001:db8:21::1
}

start_flows() {
    ping -D -i0.02 -W1 -O $FAR4 >/lab/ping4.log &
    four=$!
    ping -D -i0.02 -W1 -O $FAR6 >/lab/ping6.log &
    six=$!
}

end_flows() {
    sleep 3 # they see what the last change did
    kill -INT $four $six
    wait $four $six
}
