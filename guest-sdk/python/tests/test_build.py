"""What the build says when it cannot go on."""

import subprocess
import sys
import unittest
from unittest import mock

from millstream import build


class Build(unittest.TestCase):
    def test_what_is_missing_is_told_with_the_command_that_installs_it(self):
        said = subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: No module named 'componentize_py'")
        for python in (sys.executable, "/a folder/bin/python"):
            with (
                mock.patch.object(build.subprocess, "run", return_value=said),
                mock.patch.object(build.sys, "executable", python),
                self.assertRaises(build.BuildError) as raised,
            ):
                build._run(["--version"])
            before, command = str(raised.exception).split(": ")
            self.assertEqual(before, "componentize-py is missing")
            ran, _, needed = command.partition(" -m pip install ")
            self.assertEqual(ran.strip("'"), python)
            self.assertRegex(needed, r"^componentize-py(==\d+\.\d+\.\d+)?$")


if __name__ == "__main__":
    unittest.main()
