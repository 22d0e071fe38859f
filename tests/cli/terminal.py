"""An interactive shell on a terminal of its own, which completes `quorate` as it does for a user.

A key writes down the line that is being edited: `line_after` types something and waits for that.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0
READY = "ready> "
_CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\(B)")
_LINE = re.compile(r"<<(.*?)>>")
_SHOW, _CLEAR = "\x18", "\x05\x15"  # ^X, bound below; to the end, and all before it away

_SETUP = {
    "bash": (
        ".bashrc",
        f"""
        PS1='{READY}'
        bind 'set enable-bracketed-paste off' 'set bell-style none'
        bind -x '"\\C-x": printf "<%s%s>>\\n" "<" "$READLINE_LINE"'
        eval "$(quorate completion bash)"
        """,
    ),
    "zsh": (
        ".zshrc",
        f"""
        PS1='{READY}'; unsetopt beep prompt_cr
        show() {{ print -r -- "<""<$BUFFER>>" }}
        zle -N show; bindkey -e; bindkey '^X' show; bindkey '^U' kill-whole-line
        source <(quorate completion zsh)
        """,
    ),
    "fish": (
        "fish/config.fish",
        f"""
        function fish_prompt; printf '{READY}'; end
        function fish_greeting; end
        set -g fish_autosuggestion_enabled 0
        bind \\cx 'printf "<%s%s>>\\n" "<" (commandline)'
        bind \\cu 'commandline ""'
        quorate completion fish | source
        """,
    ),
}
_COMMAND = {"bash": ["--rcfile", ".bashrc", "-i"], "zsh": ["-i"], "fish": ["-i"]}

_OWNING_IT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""fish goes away from a terminal that is not its own."""


class Terminal:
    """One shell; its home is `folder`, its search path has `quorate` first."""

    def __init__(self, shell: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = shell
        command = folder / "bin/quorate"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
        command.chmod(0o755)
        name, text = _SETUP[shell]
        setup = folder / name
        setup.parent.mkdir(exist_ok=True)
        setup.write_text(text)
        home = {key: str(folder) for key in ("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        path = f"{command.parent}:/usr/local/bin:/usr/bin:/bin"
        self._seen = ""
        self._end, other = pty.openpty()
        termios.tcsetwinsize(other, (40, 200))
        program = shutil.which(shell)
        assert program is not None
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OWNING_IT, program, *_COMMAND[shell]],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env={**home, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(other)
        try:
            self.wait_for(re.compile(re.escape(READY)))
        except BaseException:
            self.close()
            raise

    def line_after(self, keys: str) -> str:
        """The line that is edited when `keys` were typed into an empty one and all is done."""
        self._seen = ""
        os.write(self._end, f"{_CLEAR}{keys}{_SHOW}".encode())
        return self.wait_for(_LINE).group(1)

    def shown_after(self, keys: str) -> str:
        """All that the terminal was sent meanwhile: lists of candidates among it, colours not."""
        self.line_after(keys)
        return _CONTROL.sub("", self._seen)

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Until what the terminal was sent has it."""
        limit = time.monotonic() + LIMIT_S
        while (found := pattern.search(self._seen)) is None:
            left = limit - time.monotonic()
            assert left > 0 and select.select([self._end], [], [], left)[0], self._seen
            self._seen += os.read(self._end, 65536).decode(errors="replace")
        return found

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._end)
