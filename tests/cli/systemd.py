# SPDX-License-Identifier: BSD-2-Clause
"""systemd as PID 1 of a container, for units that are to be tried: this machine's files under an
overlay, with namespaces and a control group of its own."""

import os
import shutil
import subprocess

from peal import PATIENCE, Skip, environment

SYSTEMD = "/lib/systemd/systemd"
SHARED = "/run/shared"  # in the container: the directory of its scripts and what they say

# $1 the directory: a control group, and in it the container.
OUTER = """
set -e
cd "$1"
mkdir group layers root
mount --make-rprivate /
mount -t cgroup2 none group
mine=group/peal-test-$$
mkdir $mine
sh -c 'echo $$ >$0/cgroup.procs
	exec unshare --cgroup --pid --mount --uts --ipc --net --fork --kill-child sh ./inner' $mine ||
	true
find $mine -depth -type d -exec rmdir {} +
"""

INNER = """
set -e
mount -t tmpfs none layers
mkdir layers/upper layers/work
mount -t overlay none -o lowerdir=/,upperdir=layers/upper,workdir=layers/work root
mount -t proc none root/proc
mount -t sysfs -o ro none root/sys
mount -t cgroup2 none root/sys/fs/cgroup
for directory in run tmp var dev etc/systemd/system; do
	mkdir -p root/$directory
	mount -t tmpfs none root/$directory
done
mkdir root/dev/shm root/dev/pts root/run/shared
for node in null zero full random urandom tty; do
	cp -a /dev/$node root/dev/
done
mount -t devpts -o newinstance,ptmxmode=0666 none root/dev/pts
ln -s pts/ptmx root/dev/ptmx
mount --bind shared root/run/shared
cp -r files/. root/
cd root
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
exec env -i container=peal PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
	%s --unit=try.target
""" % SYSTEMD

UNITS = {
    "try.target": "[Unit]\nRequires=try.service\nAllowIsolate=yes\n",
    "try.service": "[Service]\nType=oneshot\nExecStart=/bin/sh " + SHARED + "/script\n",
}


def needs():
    if os.geteuid() != 0:
        raise Skip("not root")
    for program in SYSTEMD, "unshare", "systemctl":
        if not shutil.which(program):
            raise Skip(f"no {program}")
    with open("/proc/filesystems", encoding="ascii") as file:
        if "\toverlay\n" not in file.read():
            raise Skip("no overlay file system")
    if subprocess.run(["unshare", "--mount", "--cgroup", "--pid", "--net", "--fork",
                       "mount", "--make-rprivate", "/"], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("no namespaces here, or a chroot")


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def container(scratch, files, script):
    """Runs the shell SCRIPT under systemd, with FILES ({path: content, or where to copy it from})
    beside those of this machine. What it wrote to the files at $PWD, by name."""
    directory = os.path.join(scratch, "container")
    files = dict(files, **{f"/etc/systemd/system/{name}": text for name, text in UNITS.items()})
    for path, content in files.items():
        to = os.path.join(directory, "files") + path
        if os.path.isabs(content):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(content, to)
        else:
            write(to, content)
    write(os.path.join(directory, "inner"), INNER)
    write(os.path.join(directory, "shared/script"),
          f"cd {SHARED}\n{script}\n: >finished\nsystemctl poweroff -ff\n")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", OUTER,
                           "sh", directory], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=PATIENCE,
                          env=environment())
    said = {}
    for name in os.listdir(os.path.join(directory, "shared")):
        with open(os.path.join(directory, "shared", name), encoding="utf-8") as file:
            said[name] = file.read().strip()
    assert "finished" in said, done.stdout.decode(errors="replace")
    return said
