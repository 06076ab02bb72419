"""Which file system a path is on, by mount tables as Linux writes them (proc(5))."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from scicat_watch.discovery.events.filesystems import Mounts, lacks_notifications

MOUNTINFO = r"""21 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
22 21 0:20 / /proc rw,nosuid shared:5 - proc proc rw
40 21 0:41 / /gpfs rw,relatime shared:20 - gpfs core rw
41 40 0:42 / /gpfs/local rw shared:21 master:3 - xfs /dev/sdb rw
42 21 0:43 / /beamline\040p99 rw - nfs4 server:/export rw,vers=4.2
43 21 0:44 / /odd\134040name rw - cifs //server/share rw
44 21 0:45 / /two\012lines rw - beegfs nodev rw
45 21 0:46 / /mnt rw - ext4 /dev/sdc rw
46 45 0:47 / /mnt rw - lustre mds:/fs rw
47 21 0:48 / /home rw - fuse.sshfs user@host:/ rw
48 21 0:49 / /scratch rw shared:30 - tmpfs tmpfs rw,size=1024k
"""


@pytest.mark.parametrize(
    ("path", "kind", "lacks"),
    [
        ("/data/raw", "ext4", False),
        ("/proc/self", "proc", False),
        ("/gpfs", "gpfs", True),
        ("/gpfs/current/raw", "gpfs", True),
        ("/gpfs2/current", "ext4", False),
        ("/gpfs/local/raw", "xfs", False),
        ("/beamline p99/raw", "nfs4", True),
        (r"/odd\040name/raw", "cifs", True),
        ("/two\nlines/raw", "beegfs", True),
        ("/mnt/raw", "lustre", True),
        ("/home/pat", "fuse.sshfs", True),
        ("/scratch/raw", "tmpfs", False),
        ("/link/raw", "gpfs", True),
    ],
)
def test_the_nearest_mount_says_whether_changes_are_reported(
    fs: FakeFilesystem, path: str, kind: str, lacks: bool
) -> None:
    fs.create_file("/proc/self/mountinfo", contents=MOUNTINFO)
    fs.create_dir("/gpfs/current")
    fs.create_symlink("/link", "/gpfs/current")
    assert (_kind(path), lacks_notifications(Path(path))) == (kind, lacks)


def test_without_a_mount_table_nothing_is_claimed(fs: FakeFilesystem) -> None:
    assert (_kind("/gpfs"), lacks_notifications(Path("/gpfs"))) == ("", False)


def test_the_table_of_this_computer_is_understood(tmp_path: Path) -> None:
    assert _kind("/proc/self") == "proc"
    assert _kind(tmp_path) != ""
    assert not lacks_notifications(Path("/proc"))


@pytest.mark.parametrize(
    ("path", "real", "hangs"),
    [
        ("/data", "/data", False),
        ("/link/raw", "/gpfs/current/raw", True),
        ("/up/raw", "/gpfs/current/raw", True),
        ("/gpfs/link/raw", "/gpfs/link/raw", True),
        ("/round/raw", "/round/raw", False),
        ("/auto/one", "/auto/one", True),
        ("/data/../gpfs/current", "/gpfs/current", True),
    ],
)
def test_links_are_followed_up_to_where_a_file_system_may_not_answer(
    fs: FakeFilesystem, path: str, real: str, hangs: bool
) -> None:
    fs.create_file("/proc/self/mountinfo", contents=f"{MOUNTINFO}49 21 0:50 / /auto rw - autofs auto rw\n")
    fs.create_dir("/data")
    fs.create_dir("/gpfs/current")
    fs.create_symlink("/gpfs/link", "/data")
    fs.create_symlink("/link", "/gpfs/current")
    fs.create_symlink("/data/up", "../../link")
    fs.create_symlink("/up", "data/up")
    fs.create_symlink("/round", "/round")
    mounts = Mounts.now()
    assert (mounts.follow(Path(path)), mounts.holding(Path(path)).may_hang) == (Path(real), hangs)


def test_the_mounts_below_a_directory_are_known(fs: FakeFilesystem) -> None:
    fs.create_file("/proc/self/mountinfo", contents=MOUNTINFO)
    mounts = Mounts.now()
    assert [mount.point for mount in mounts.below(Path("/gpfs"))] == [Path("/gpfs/local")]
    assert len(list(mounts.below(Path("/")))) == len(mounts.kinds) - 1


def _kind(path: Path | str) -> str:
    return Mounts.now().holding(Path(path)).kind
