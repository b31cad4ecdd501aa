#!/bin/bash
# Boots a tree with systemd in user-mode Linux. Runs on the host in mount and pid namespaces of its own,
# so whatever ends it unmounts everything; what the guest writes goes with a file system in memory.
#
# In: DAY0_TREE DAY0_FILES (laid over it) DAY0_IMAGES (a store of images, read-only) DAY0_LAB (for the
# report) DAY0_WORK (an empty directory) DAY0_MEMORY (as 2048M)
set -eu

root=$DAY0_WORK/root
mount -t tmpfs tmpfs "$DAY0_WORK"
mkdir "$DAY0_WORK/upper" "$DAY0_WORK/work" "$root"
mount -t overlay overlay "$root" \
    -o "lowerdir=$DAY0_FILES:$DAY0_TREE,upperdir=$DAY0_WORK/upper,workdir=$DAY0_WORK/work"
mount --bind "$DAY0_IMAGES" "$root/images"
mount -o remount,bind,ro "$root/images"
mount --bind "$DAY0_LAB" "$root/lab"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp" # the guest's memory is a file there
export HOME=/tmp TMPDIR=/tmp
exec chroot "$root" /usr/bin/linux.uml "mem=$DAY0_MEMORY" root=/dev/root rootfstype=hostfs \
    rootflags=/ rw con=null con0=fd:0,fd:1 quiet loglevel=3 seccomp=auto panic=-1 noreboot \
    init=/lib/systemd/systemd
