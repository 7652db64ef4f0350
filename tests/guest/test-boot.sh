#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The ground the guest tests stand on: each kernel boots under QEMU without KVM, loads a module of
# its own, finds a device with it and powers off. Prints TAP.
set -u
here=$PEAL_SOURCE_ROOT/tests/guest
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

cat >"$dir/init" <<'EOS'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $(cat /lib/modules/load.order); do insmod "$module"; done
echo "guest: $(uname -m) $(cat /sys/block/vda/size) $(grep -c MSI /proc/interrupts)"
poweroff -f
EOS
head -c 1048576 /dev/zero >"$dir/disk"

boot() { # NUMBER DEBIAN-ARCH MACHINE CONSOLE QEMU-ARGS...
	local number=$1 arch=$2 machine=$3 console=$4 kernel
	shift 4
	if ! "$here/make-initramfs" "$arch" "$dir/init" "$dir/$arch" -- virtio_blk >"$dir/log" 2>&1; then
		cat "$dir/log"
		grep -q '^# skip: ' "$dir/log" || printf 'not '
		echo "ok $number - $arch"
		return
	fi
	kernel=$(echo "$("$here/get-qemu")/kernel/$arch/boot"/vmlinuz-*)
	timeout 120 "$here/qemu" "$machine" "$@" -accel tcg -m 256M -nodefaults -display none \
		-serial stdio -no-reboot -kernel "$kernel" -initrd "$dir/$arch" \
		-append "console=$console panic=-1 quiet" \
		-drive "file=$dir/disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d \
		>"$dir/log" 2>&1 </dev/null
	if grep -Eq "guest: $machine 2048 [1-9]" "$dir/log"; then
		echo "ok $number - $arch"
	else
		sed 's/^/# /' "$dir/log"
		echo "not ok $number - $arch"
	fi
}

echo 1..2
boot 1 amd64 x86_64 ttyS0 -M q35
boot 2 arm64 aarch64 ttyAMA0 -M virt,gic-version=3,its=on -cpu cortex-a72
