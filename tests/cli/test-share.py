#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is installed beside the program: descriptions of the devices, and units for systemd."""

import json
import os
import shutil
import socket
import subprocess

from peal import PATIENCE, PEAL, Skip, case, environment, main, peal
from served import Client, has_sandbox, path_of
import systemd

BUILD = os.path.dirname(os.path.abspath(PEAL))
MODELS = {"blk": 0x1af4, "rng": 0x1af4, "bell": 0x1234}
# Of vhost-user's schema, which the specification of vfio-user refers to; and ours.
TYPES = {"9p", "balloon", "block", "caif", "console", "crypto", "fs", "gpu", "input", "net", "rng",
         "rpmsg", "rproc-serial", "scsi", "vsock", "test"}


def installed(scratch):
    if not shutil.which("meson"):
        raise Skip("no meson")
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        raise Skip("not a build directory")
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", scratch],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=PATIENCE)
    if b"could not be found" in done.stdout:
        raise Skip("not all of it is built")
    assert done.returncode == 0, done.stdout.decode()
    found = []
    for directory, _, files in os.walk(scratch):
        found += [os.path.join(directory, name) for name in files]
    return found


def only(paths, end):
    found = [path for path in paths if path.endswith(end)]
    assert len(found) == 1, (end, found)
    return found[0]


@case
def description_of_each_device_leads_to_a_program(scratch):
    paths = installed(scratch)
    for model, vendor in MODELS.items():
        path = only(paths, f"/share/vfio-user/peal-{model}.json")
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
        assert set(description) == {"description", "type", "binary"}, description
        assert description["type"] in TYPES and description["description"], description
        binary = description["binary"]
        assert os.path.isabs(binary), binary
        # It points to where the program will be; here it is below SCRATCH.
        link = only(paths, binary)
        target = scratch + os.readlink(link)
        assert os.path.samefile(target, only(paths, "/bin/peal"))
        # Under that name it takes --socket-path and --fd without more.
        name = os.path.join(scratch, os.path.basename(binary))
        os.symlink(os.path.abspath(PEAL), name)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(
                [name, f"--fd={theirs.fileno()}", *([] if has_sandbox() else ["--no-sandbox"])],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(),
                pass_fds=[theirs.fileno()])
            theirs.close()
            client = Client(ours)
            assert client.read(7, 0, 2) == vendor
            client.close()
            out, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0 and out.startswith(model.encode() + b" is ready"), out


@case
def program_of_a_device_that_is_none_complains(scratch):
    for name, word in (("peal-serve-toaster", "toaster"), ("peal-serve-", "no such device")):
        path = os.path.join(scratch, name)
        os.symlink(os.path.abspath(PEAL), path)
        result = peal(binary=path)
        assert result.code == 2 and word in result.err, result


def units(scratch):
    """Of the instance "disk", with the program where it is now."""
    paths = installed(os.path.join(scratch, "root"))
    made = []
    for kind in ("service", "socket"):
        with open(only(paths, f"/system/peal-serve@.{kind}"), encoding="utf-8") as file:
            text = file.read().replace(f"ExecStart={bindir(paths, scratch)}/peal",
                                       f"ExecStart={os.path.abspath(PEAL)}")
        for name in ("peal-serve@", "peal-serve@disk"):
            made.append(os.path.join(scratch, f"{name}.{kind}"))
            with open(made[-1], "w", encoding="utf-8") as file:
                file.write(text)
    return made


def bindir(paths, scratch):
    return os.path.dirname(only(paths, "/bin/peal"))[len(os.path.join(scratch, "root")):]


@case
def systemd_finds_nothing_wrong_with_the_units(scratch):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    made = [path for path in units(scratch) if "@disk" in path]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *made],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=PATIENCE, env=environment())
    assert done.returncode == 0 and done.stdout == b"", done.stdout.decode()


@case
def the_service_is_exposed_to_little(scratch):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    service = [path for path in units(scratch) if path.endswith("@disk.service")]
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=10",
                           "--no-pager", *service], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=PATIENCE,
                          env=environment())
    text = done.stdout.decode()
    if "nrecognized option" in text:
        raise Skip("this systemd-analyze cannot look at a file")
    assert done.returncode == 0, text
    print("# " + text.strip().split("\n")[-1].encode("ascii", "ignore").decode())


# A disk and a bell under systemd: started by their first clients, in a sandbox that holds, and
# started again when they are killed.
SCRIPT = """
exec 2>errors
systemctl start peal-serve@disk.socket peal-serve@bell.socket
bell=vfio-user:/run/peal/bell.sock
mkdir -p /var/lib/private/peal/disk
truncate -s 4M /var/lib/private/peal/disk/disk.img
show() { systemctl show -P $1 peal-serve@$2.service; }
for name in disk bell; do
	peal probe vfio-user:/run/peal/$name.sock >probe-$name
	show ActiveState $name >state-$name
	pid=$(show MainPID $name)
	cat /proc/$pid/status >status-$name
	[ /proc/$pid/ns/net -ef /proc/1/ns/net ] || echo own >net-$name
done
peal irq $bell ring --vectors=0-3 >rings
systemctl kill -s KILL peal-serve@bell.service
while [ "$(show NRestarts bell)" = 0 ]; do sleep 0.05; done
peal irq $bell ring --vectors=0-3 >rings-again
systemctl stop peal-serve@disk.socket peal-serve@disk.service peal-serve@bell.socket peal-serve@bell.service
for name in disk bell; do
	show Result $name >result-$name
	show ActiveState $name >after-$name
done
ls /run/peal >left
journalctl --no-pager -o cat -u 'peal-serve@*' >journal
"""


@case
def under_systemd_the_units_serve(scratch):
    if not has_sandbox():
        raise Skip("built without libseccomp")
    systemd.needs()
    paths = installed(os.path.join(scratch, "root"))
    files = {f"/etc/systemd/system/peal-serve@.{kind}": only(paths, f"/system/peal-serve@.{kind}")
             for kind in ("service", "socket")}
    files[bindir(paths, scratch) + "/peal"] = only(paths, "/bin/peal")
    files["/usr/local/bin/peal"] = only(paths, "/bin/peal")
    files["/etc/peal/serve/disk.conf"] = \
        "MODEL=blk\nARGS=--disk=/var/lib/peal/disk/disk.img --queues=2\n"
    files["/etc/peal/serve/bell.conf"] = "MODEL=bell\nARGS=--vectors=8\n"
    said = systemd.container(scratch, files, SCRIPT)
    for name, device in ("disk", "Virtio"), ("bell", "1234:be11"):
        assert device in said["probe-" + name], said
        assert said["state-" + name] == "active", said
        status = dict(line.split(":\t", 1) for line in said["status-" + name].splitlines())
        assert "0" not in status["Uid"].split() and status["NoNewPrivs"] == "1", status
        assert int(status["CapEff"], 16) == 0 and status["Seccomp"] == "2", status
        assert said["net-" + name] == "own", said
        assert said["result-" + name] == "success" and said["after-" + name] == "inactive", said
    assert said["rings"] == said["rings-again"] and "0-3" in said["rings"], said
    assert said["left"] == "", said


@case
def socket_activation_starts_it_for_the_first_client(scratch):
    if not shutil.which("systemd-socket-activate"):
        raise Skip("no systemd-socket-activate")
    path = path_of(scratch)
    process = subprocess.Popen(
        ["systemd-socket-activate", "-l", path, os.path.abspath(PEAL), "serve", "bell", "--json",
         *([] if has_sandbox() else ["--no-sandbox"])], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    try:
        assert b"Listening on" in process.stderr.readline()
        assert peal("irq", "vfio-user:" + path, "ring", "--vectors=0-3").code == 0
        assert json.loads(process.stdout.readline())["socket"] == "descriptor 3"
        assert peal("probe", "vfio-user:" + path).code == 0
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0 and json.loads(out)["clients"] == 2, out
        # The socket is not the server's to remove.
        assert os.path.exists(path)
    finally:
        process.kill()
        process.communicate()


main()
