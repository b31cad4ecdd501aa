#!/bin/bash
# Puts the guest's file tree together, and starts the guest in it. Runs on the host in mount and pid
# namespaces of its own, so whatever ends it unmounts everything.
#
# In: LAB_MODE vm|straight, LAB_SYSTEM LAB_VENV LAB_OLD_FRR LAB_CHECKOUT LAB_ARTEFACTS LAB_RUN
# (directories), LAB_MEMORY (vm), LAB_UML_ARGS (vm).
set -eu

read_only() {
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

root=$LAB_SYSTEM
read_only "$root" "$root"
read_only "$LAB_VENV" "$root/opt/venv"
read_only "$LAB_OLD_FRR" "$root/opt/frr84"
read_only "$LAB_CHECKOUT" "$root/checkout"
mount --bind "$LAB_ARTEFACTS" "$root/artefacts"
mount --bind "$LAB_RUN" "$root/lab"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"

export HOME=/tmp
init=/checkout/tests/lab/guest/init.sh
if [ "$LAB_MODE" = straight ]; then
    mount -t sysfs sysfs "$root/sys"
    # No chroot: below one, the kernel makes no user namespaces, and nsenter(1) leaves it.
    cd "$root"
    pivot_root . mnt
    exec chroot . /bin/bash -c 'umount -l /mnt && exec /bin/bash "$0"' "$init"
fi
# seccomp=auto: system calls cost half of what they cost by ptrace.
# panic=-1 noreboot: a guest that cannot start ends, rather than stand still.
# shellcheck disable=SC2086  # several words
exec chroot "$root" /usr/bin/linux.uml "mem=$LAB_MEMORY" root=/dev/root rootfstype=hostfs \
    rootflags=/ rw con=null con0=fd:0,fd:1 quiet loglevel=3 seccomp=auto panic=-1 noreboot \
    $LAB_UML_ARGS init=/bin/bash -- "$init"
