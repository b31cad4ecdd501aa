#!/bin/bash
# Puts the guest's file tree together, and starts the guest in it. Runs on the host in mount and pid
# namespaces of its own, so whatever ends it unmounts everything.
#
# In: LAB_MODE straight|uml|qemu, LAB_SYSTEM LAB_VENV LAB_FRR_8_4 LAB_FRR_10_3 LAB_CHECKOUT
# LAB_ARTEFACTS LAB_RUN (directories), LAB_KUBE LAB_PROMTOOL (paths, or empty); for the VMs LAB_MEMORY (as 2048M) and LAB_ARGS (more arguments); for QEMU
# LAB_MACHINE (directory), LAB_KERNEL (version), LAB_ACCELERATOR kvm|tcg, LAB_CPUS.
set -eu

read_only() {
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

root=$LAB_SYSTEM
read_only "$root" "$root"
read_only "$LAB_VENV" "$root/opt/venv"
read_only "$LAB_FRR_8_4" "$root/opt/frr-8.4"
read_only "$LAB_FRR_10_3" "$root/opt/frr-10.3"
read_only "$LAB_CHECKOUT" "$root/checkout"
mount --bind "$LAB_ARTEFACTS" "$root/artefacts"
mount --bind "$LAB_RUN" "$root/lab"
[ -z "$LAB_KUBE" ] || read_only "$LAB_KUBE" "$root/lab/kube"
[ -z "$LAB_PROMTOOL" ] || read_only "$LAB_PROMTOOL" "$root/lab/bin/promtool"

export HOME=/tmp
init=/checkout/tests/lab/guest/init.sh

# The kernel finds the tree by virtiofs, which its root may be: no disk, and no initrd.
qemu() {
    local modules=/usr/lib/modules share=/run/share accelerator=$LAB_ACCELERATOR
    read_only "$LAB_MACHINE$modules" "$root$modules"
    mount --rbind "$root" "$LAB_MACHINE/mnt"
    mount -t proc proc "$LAB_MACHINE/proc"
    mount --rbind /dev "$LAB_MACHINE/dev"
    mount -t tmpfs tmpfs "$LAB_MACHINE/run"
    chroot "$LAB_MACHINE" /usr/libexec/virtiofsd --socket-path=$share --shared-dir=/mnt \
        --sandbox=none --inode-file-handles=prefer --cache=always --log-level=error &
    until [ -S "$LAB_MACHINE$share" ]; do sleep 0.02; done
    [ "$accelerator" = tcg ] && accelerator=tcg,thread=multi
    # Without mitigations and five-level paging: they only cost time where every instruction is
    # translated. -no-reboot, panic=-1: a guest that cannot start ends, rather than stand still.
    # shellcheck disable=SC2086  # several words
    exec chroot "$LAB_MACHINE" /usr/bin/qemu-system-x86_64 -nodefaults -no-user-config \
        -machine q35,memory-backend=memory -accel "$accelerator" -cpu max -smp "$LAB_CPUS" \
        -m "$LAB_MEMORY" -object "memory-backend-memfd,id=memory,size=$LAB_MEMORY,share=on" \
        -chardev socket,id=share,path=$share -device vhost-user-fs-pci,chardev=share,tag=lab \
        -chardev stdio,id=console,signal=off -serial chardev:console -display none -no-reboot \
        -kernel "$modules/$LAB_KERNEL/vmlinuz" $LAB_ARGS -append "root=lab rootfstype=virtiofs rw \
            console=ttyS0 quiet loglevel=3 mitigations=off no5lvl nokaslr tsc=reliable panic=-1 \
            init=/bin/bash -- $init"
}

# seccomp=auto: system calls cost half of what they cost by ptrace.
uml() {
    # shellcheck disable=SC2086  # several words
    exec chroot "$root" /usr/bin/linux.uml "mem=$LAB_MEMORY" root=/dev/root rootfstype=hostfs \
        rootflags=/ rw con=null con0=fd:0,fd:1 quiet loglevel=3 seccomp=auto panic=-1 noreboot \
        $LAB_ARGS init=/bin/bash -- "$init"
}

# No chroot: below one, the kernel makes no user namespaces, and nsenter(1) leaves it.
straight() {
    mount -t sysfs sysfs "$root/sys"
    cd "$root"
    pivot_root . mnt
    exec chroot . /bin/bash -c 'umount -l /mnt && exec /bin/bash "$0"' "$init"
}

[ "$LAB_MODE" = qemu ] && qemu
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
"$LAB_MODE"
