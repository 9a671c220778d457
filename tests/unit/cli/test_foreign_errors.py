"""An error that no door has translated still ends in a line that says what to do."""

import errno

import pytest

from callimport.cli.foreign_errors import translated
from callimport.core.errors import ExitCode


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR])
def test_a_path_that_cannot_be_is_a_setting_to_mend(number: int) -> None:
    told = translated(OSError(number, "no such thing", "here"))
    assert (told.exit_code, str(told)) == (ExitCode.USAGE, "here: no such thing: name another path, then run again")


def test_what_a_task_group_wraps_is_told_as_it_is() -> None:
    told = translated(ExceptionGroup("two", [ExceptionGroup("one", [OSError(errno.EMFILE, "too many files")])]))
    assert "ulimit -n" in str(told)


def test_a_missing_folder_for_temporary_files_is_not_called_the_working_folder() -> None:
    told = str(translated(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")))
    assert "TMPDIR" in told
    assert "working folder" not in told
