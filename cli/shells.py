"""What a shell reads to complete `quorate`, and what it is then told: bash, zsh and fish.

click's own scripts take the words as the shell cuts them. bash cuts at `:` and `=` too, so that
`-b host:9092` is three words; the scripts here hand over the line as it was typed, up to the
cursor. They put no space behind a `name=` that still wants its value, and fish is given the whole
of a description, not what comes before its first comma.
"""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

_BASH = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done <<< "$(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)"
    if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local kind value about
    local -a plain described unfinished answer
    answer=("${(@f)$(COMP_WORDS="${(j: :)words[1,CURRENT-1]} $PREFIX" \\
        %(complete_var)s=zsh_complete ${~words[1]} 2>/dev/null)}")
    for kind value about in "${(@)answer}"; do
        case $kind in
            dir) compset -P '--*='; _path_files -/ ;;
            file) compset -P '--*='; _path_files -f ;;
            plain)
                if [[ $value == *= ]]; then unfinished+=("$value")
                elif [[ $about == _ ]]; then plain+=("$value")
                else described+=("$value:$about")
                fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described
    (( $#plain )) && compadd -V unsorted -a plain
    (( $#unfinished )) && compadd -V unsorted -S '' -a unfinished
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -lx COMP_WORDS (commandline -cp | string collect)
    set -lx %(complete_var)s fish_complete
    for item in (%(prog_name)s 2>/dev/null)
        set -l parts (string split -m 1 , -- $item)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo -- $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _OfLine(ShellComplete):
    """Completes the last word of a line that ends at the cursor."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before, and as much as there is of the last."""
        # The letter keeps an empty last word, and what an open quote or a backslash holds.
        *words, last = split_arg_string(os.environ["COMP_WORDS"] + "x")
        return words[1:], last[:-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """click completes what is behind `--option=`; the shells replace the whole word."""
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            for item in items:
                if item.type == "plain":
                    item.value = f"{option}={item.value}"
        return items


@add_completion_class
class Bash(_OfLine, BashComplete):
    """Replaces only what is behind the last character at which bash cuts words."""

    source_template = _BASH
    _kept = 0

    def get_completion_args(self) -> tuple[list[str], str]:
        """Remembers where bash cuts."""
        args, incomplete = super().get_completion_args()
        cuts = [each for each in os.environ.get("COMP_BREAKS", "") if each in ":="]
        self._kept = 1 + max((incomplete.rfind(each) for each in cuts), default=-1)
        return args, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """What bash is to put there."""
        value = item.value[self._kept :] if item.type == "plain" else item.value
        return f"{item.type},{value}"


@add_completion_class
class Zsh(_OfLine, ZshComplete):
    """As click tells it."""

    source_template = _ZSH


@add_completion_class
class Fish(_OfLine, FishComplete):
    """As click tells it."""

    source_template = _FISH
