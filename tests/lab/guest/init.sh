#!/bin/bash
# The first process of the guest: devices, memory file systems, then the command in /lab/command,
# whose exit code goes to /lab/exit-code. The tree is read-only but for /artefacts and /lab;
# /dualpath is a copy of the checkout.

# shellcheck source=/dev/null
. /lab/environment

if [ "$LAB_MODE" != straight ]; then
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    [ "$LAB_MODE" = qemu ] && mount -t devtmpfs devtmpfs /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    # One by one: a missing module is for the scenarios to notice, and to name.
    for module in vrf vxlan veth bridge tun dummy macvlan sch_ingress sch_netem \
        cls_flower cls_matchall cls_u32 act_mirred act_gact openvswitch; do
        modprobe -q $module
    done
fi
for directory in run tmp var/tmp var/log var/lib/frr etc/frr; do
    mount -t tmpfs -o mode=755 tmpfs "/$directory"
done
chmod 1777 /tmp /var/tmp
mkdir -p /run/netns /run/dualpath /run/frr /var/tmp/frr
hostname lab # frr-reload.py fails where the system has no name
ip link set lo up
# As `ip netns add` would do, but before anybody copies the mount table.
mount --bind /run/netns /run/netns
mount --make-shared /run/netns

# An older FRR has a tree of its own, and shares what a running one leaves behind. User frr has the
# same number everywhere.
for tree in /opt/frr-*; do
    mount --bind /etc/passwd "$tree/etc/passwd"
    mount --bind /etc/group "$tree/etc/group"
    for directory in run tmp var/tmp var/log etc/frr; do
        mount --rbind "/$directory" "$tree/$directory"
    done
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
done

# A copy in memory, so that Python can keep what it compiled.
mount -t tmpfs tmpfs /dualpath
tar -C /checkout --exclude=./.git --exclude=./.venv --exclude=./artefacts --exclude='./.*_cache' \
    -cf - . | tar -C /dualpath -xf -

cd /dualpath || exit
export HOME=/tmp
export PATH=/lab/bin:/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PYTHONPATH=/dualpath:/lab/site
export DUALPATH_LAB_INSIDE=$LAB_MODE DUALPATH_LAB_ARTEFACTS=/artefacts

if [ "$LAB_INTERACTIVE" = yes ]; then
    terminal=/dev/tty
    [ "$LAB_MODE" = uml ] && terminal=/dev/tty0
    [ "$LAB_MODE" = qemu ] && terminal=/dev/ttyS0
    [ "$LAB_MODE" != straight ] && stty rows "$LINES" cols "$COLUMNS" <$terminal
    setsid --ctty --wait bash --norc /lab/command <$terminal >$terminal 2>&1
    echo $? >/lab/exit-code
else
    [ "$LAB_MODE" != straight ] && stty -echo -onlcr
    echo "$LAB_BEGIN"
    bash /lab/command </dev/null
    echo $? >/lab/exit-code
    echo "$LAB_END"
    [ "$LAB_MODE" != straight ] && stty drain # the kernel is about to speak, and would interrupt
fi

if [ "$LAB_MODE" != straight ]; then
    echo o >/proc/sysrq-trigger
    sleep 60
fi
