#!/bin/bash
# What happens in the guest once it has booted with the plain units: the controller is restarted,
# killed, frozen and stopped, and FRR restarted, under pings.
. /lab/report.sh

pid() { property dualpath MainPID; }

ready() { [ "$(property dualpath StatusText)" = ready ]; }

ready_after() { # pid: another process is ready
    local now
    now=$(pid)
    [ "$now" != 0 ] && [ "$now" != "$1" ] && ready
}

session() { /opt/dualpath/bin/dualpath status -o json | grep -o '"session_state": "[a-z]*"'; }

is_live_in_new_frr() { # when the former FRR became active
    local now
    now=$(property frr ActiveEnterTimestampMonotonic)
    [ "$now" != 0 ] && [ "$now" != "$1" ] && [ "$(session)" = '"session_state": "live"' ] && ready
}

left_running() { # when: what a restart of the controller does not touch
    report "$1.frr" "$(property frr ActiveEnterTimestampMonotonic)"
    report "$1.bridge" "$(pgrep -of 'frr-bridge|frr_bridge')"
}

await ready ready
report_units networking dualpath frr
for name in WatchdogUSec StatusText; do
    report "dualpath.$name" "$(property dualpath $name)"
done
add_routes
await reached reaches
start_flows

left_running before
former=$(pid)
systemctl restart dualpath
await restarted ready_after "$former"
left_running restarted

former=$(pid)
kill -KILL "$former"
await killed ready_after "$former"
left_running killed

former=$(pid)
kill -STOP "$former"
await frozen ready_after "$former"
report frozen.NRestarts "$(property dualpath NRestarts)"
left_running frozen

former=$(property frr ActiveEnterTimestampMonotonic)
systemctl restart frr
await frr is_live_in_new_frr "$former"

systemctl stop dualpath
report stopped.dualpath "$(property dualpath ActiveState)"
report stopped.frr "$(property frr ActiveState)"
report stopped.processes "$(pgrep -cf 'controller --datapath|frr-bridge|frr_bridge')"
sleep 5 # the flows go on without a controller
systemctl start dualpath
await started ready

end_flows

systemctl stop dualpath frr
/opt/dualpath/bin/dualpath down >/lab/down.log 2>&1
report down.code $?
report down.nic "$(ip -br address show eth1 | tr -s ' ')"
report down.netns "$(ip netns list | cut -d' ' -f1 | tr '\n' ' ')"
report down.conf "$(find /run/dualpath -name '*last-frr-conf*' | wc -l)"
finish yes
