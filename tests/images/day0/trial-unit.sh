#!/bin/bash
# What happens in the guest once it has booted with the plain units: the controller is restarted,
# killed, frozen and stopped by systemd, and FRR restarted, under pings.
. /lab/report.sh

is_ready() { [ "$(systemctl show --property=StatusText --value dualpath)" = ready ]; }

is_frozen() { [ "$(systemctl show --property=NRestarts --value dualpath)" = 1 ]; }

was_ended() { [ "$(systemctl show --property=NRestarts --value dualpath)" = 2 ]; }

again() { # what: the controller is ready again; what it left running
    await "$1" is_ready
    report "$1.frr" "$(systemctl show --property=ActiveEnterTimestampMonotonic --value frr)"
    report "$1.bridge" "$(pgrep -f frr-bridge | head -n1)"
}

await ready is_ready
report_units networking dualpath frr
for property in WatchdogUSec NotifyAccess StatusText; do
    report "dualpath.$property" "$(systemctl show --property=$property --value dualpath)"
done
add_routes
await reached reaches
start_flows

again before
systemctl restart dualpath
again restarted
kill -KILL "$(systemctl show --property=MainPID --value dualpath)"
await killed is_frozen
again back
kill -STOP "$(systemctl show --property=MainPID --value dualpath)"
await watched was_ended
again thawed
systemctl restart frr
await frr_gone is_waiting
again frr_restarted
systemctl stop dualpath
report stopped "$(systemctl is-active dualpath)"
report bridges "$(pgrep -cf frr-bridge)"
sleep 5 # the flows go on without a controller
systemctl start dualpath
again started
sleep 3 # the flows see what the last change did

end_flows
finish yes
