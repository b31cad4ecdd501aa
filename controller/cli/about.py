"""Commands about the command itself: its version, its help, its completion."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import version as version_of
from typing import Annotated

from controller.cli.catalogue import CATALOGUE
from controller.cli.command import Argument
from controller.cli.terminal import USAGE, echo, fail


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# Each passes the words up to the cursor, the last one maybe empty, and gets a candidate a line.
SCRIPTS = {
    Shell.BASH: r"""
_dualpath() {
    local line words
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash splits at = and : as well; put the words of one argument together again
    line=$(printf '%s ' "${words[@]}" | sed 's/ \([=:]\) /\1/g; s/ \([=:]\)/\1/g; s/ $//')
    read -ra words <<< "$line"
    [ "${COMP_WORDS[COMP_CWORD]}" ] || words+=("")
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        COMPREPLY+=("${value#*=}")
    done < <(dualpath __complete "${words[@]}" 2>/dev/null)
}
complete -o default -F _dualpath dualpath
""",
    Shell.ZSH: r"""#compdef dualpath
_dualpath() {
    local -a values
    local value meaning
    while IFS=$'\t' read -r value meaning; do
        values+=("${value//:/\\:}${meaning:+:$meaning}")
    done < <(dualpath __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( $#values )); then _describe dualpath values; else _files; fi
}
compdef _dualpath dualpath
""",
    Shell.FISH: r"""
function __dualpath_complete
    set -l words (commandline -opc) (commandline -ct)
    dualpath __complete $words[2..-1] 2>/dev/null
end
complete -c dualpath -a '(__dualpath_complete)'
""",
}


def completion(shell: Annotated[Shell, Argument("bash|zsh|fish", help="The shell.")]) -> None:
    """Print the completion script of a shell.

    It completes commands, options, and the names of VRFs, VNIs and ports that the daemon has.

    source <(dualpath completion bash)
    dualpath completion bash > /etc/bash_completion.d/dualpath
    dualpath completion zsh > "${fpath[1]}/_dualpath"
    dualpath completion fish > ~/.config/fish/completions/dualpath.fish
    """
    echo(SCRIPTS[shell].strip())


def version() -> None:
    """Show the version.

    dualpath version
    """
    echo(f"dualpath {version_of('dualpath')}")


def show_help(
    command: Annotated[
        str, Argument("COMMAND", help="The command.", complete=lambda _: CATALOGUE)
    ] = "",
) -> None:
    """Show the help of a command.

    dualpath help routes
    """
    from controller.cli.__main__ import load, overview

    if command and command not in CATALOGUE:
        fail(f"no command is called {command!r}; see `dualpath help`", USAGE)
    echo((load(command).parser.format_help() if command else overview()).rstrip())
