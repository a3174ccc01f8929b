"""The shell scripts of a phase: pure text.

CodeBuild runs every command in a shell of its own, and carries the working directory and the variables, also those
that are not exported, to the next one through a file; functions, arrays, options, traps and aliases are not carried.
So do we: `SHELL` is what runs one command, and a driver per phase runs the phase's commands one after the other.
The driver outlives the engine, so it also writes the log's lines and what came out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Arguments: the state file, the command's file, CODEBUILD_BUILD_SUCCEEDING. What a command may have done to options,
# IFS or PATH must not keep us from saving, and what the shell sets by itself is not carried.
SHELL = r"""
turnout_state=$1 turnout_command=$2 turnout_saved= turnout_status=0
turnout_succeeding=$3
turnout_quote() {
    turnout_rest=$1 turnout_quoted=
    while :; do
        case $turnout_rest in
            *\'*) turnout_quoted=$turnout_quoted${turnout_rest%%\'*}"'\\''" turnout_rest=${turnout_rest#*\'} ;;
            *) break ;;
        esac
    done
    turnout_quoted="'$turnout_quoted$turnout_rest'"
}
turnout_save() {
    turnout_status=$1
    if [ -n "$turnout_saved" ]; then return 0; fi
    turnout_saved=1
    set +efuxvC
    unset IFS
    turnout_path=${PATH-}
    PATH=/usr/local/bin:/usr/bin:/bin
    turnout_exported=" $(env -0 | tr '\0\n' '\n ' | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | tr '\n' ' ') "
    turnout_names=$(set | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p')
    {
        for turnout_name in $turnout_names; do
            case $turnout_name in
                turnout_* | IFS | PPID | OPTIND | OPTARG | OPTERR | PS[0-9] | PWD | OLDPWD) continue ;;
                _ | LINENO | HISTCMD) continue ;;
                BASH | BASH_* | BASHOPTS | BASHPID | EUID | UID | SHELLOPTS | SHLVL | DIRSTACK | FUNCNAME) continue ;;
                GROUPS | HOSTNAME | HOSTTYPE | MACHTYPE | OSTYPE | PIPESTATUS | RANDOM | SRANDOM) continue ;;
                SECONDS | EPOCHREALTIME | EPOCHSECONDS | COMP_WORDBREAKS | COLUMNS | LINES) continue ;;
                CODEBUILD_BUILD_SUCCEEDING) continue ;;
                PATH) turnout_value=$turnout_path ;;
                *)
                    eval "turnout_set=\${$turnout_name+x} turnout_value=\${$turnout_name-}"
                    if [ -z "$turnout_set" ]; then continue; fi
                    ;;
            esac
            turnout_quote "$turnout_value"
            case $turnout_exported in
                *" $turnout_name "*) printf 'export %s=%s\n' "$turnout_name" "$turnout_quoted" ;;
                *) printf '%s=%s\n' "$turnout_name" "$turnout_quoted" ;;
            esac
        done
        turnout_quote "$PWD"
        printf 'cd %s 2>/dev/null || cd "$CODEBUILD_SRC_DIR"\n' "$turnout_quoted"
    } >"$turnout_state.new" && mv "$turnout_state.new" "$turnout_state"
    PATH=$turnout_path
}
. "$turnout_state"
CODEBUILD_BUILD_SUCCEEDING=$turnout_succeeding
export CODEBUILD_BUILD_SUCCEEDING
set --
trap 'turnout_save $?' EXIT
. "$turnout_command"
turnout_save $?
exit "$turnout_status"
"""

# Arguments: the phase's folder, its name, the number of its commands and of those with its finally, and whether the
# build is succeeding. `result` is written if a command fails: its number and exit status.
# SIGTERM reaches the whole process group: the driver outlasts the command that has its own way of ending, then ends.
DRIVER = r"""
turnout_folder=$1 turnout_phase=$2 turnout_commands=$3 turnout_all=$4 turnout_succeeding=$5
turnout_failed= turnout_stopped=
trap turnout_stopped=1 TERM
exec >>"$turnout_folder/../log" 2>&1
say() {
    printf '[Container] %s %s\n' "$(date -u '+%Y/%m/%d %H:%M:%S.%6N')" "$1"
}
run() {
    turnout_text=$(cat "$turnout_folder/$1")
    say "Running command $turnout_text"
    env -i "$turnout_shell" "$turnout_folder/../shell" \
        "$turnout_folder/../state" "$turnout_folder/$1" "$turnout_succeeding"
    turnout_status=$?
    if [ "$turnout_stopped" ]; then exit 143; fi
    if [ "$turnout_status" = 0 ]; then return 0; fi
    say "Command did not exit successfully $turnout_text exit status $turnout_status"
    turnout_succeeding=0
    if [ -z "$turnout_failed" ]; then
        turnout_failed="Error while executing command: $turnout_text. Reason: exit status $turnout_status"
        echo "$1 $turnout_status" >"$turnout_folder/result.new"
        mv "$turnout_folder/result.new" "$turnout_folder/result"
    fi
    return 1
}
run_from() {
    turnout_number=$1
    while [ "$turnout_number" -le "$2" ]; do
        run "$turnout_number" || return
        turnout_number=$((turnout_number + 1))
    done
}
say "Entering phase $turnout_phase"
run_from 1 "$turnout_commands"
run_from $((turnout_commands + 1)) "$turnout_all"
if [ "$turnout_failed" ]; then
    say "Phase complete: $turnout_phase State: FAILED"
    say "Phase context status code: COMMAND_EXECUTION_ERROR Message: $turnout_failed"
    exit 1
fi
say "Phase complete: $turnout_phase State: SUCCEEDED"
say "Phase context status code:  Message: "
"""


@dataclass(frozen=True)
class Script:
    """The files of a phase's folder, and how to run them."""

    files: Mapping[str, str]
    argv: tuple[str, ...]


def phase_script(
    folder: str, phase: str, commands: Sequence[str], finally_: Sequence[str], shell: str, *, is_succeeding: bool
) -> Script:
    """Runs `commands` until one fails, then `finally_` in any case."""
    every = (*commands, *finally_)
    files = {str(number): f"{command}\n" for number, command in enumerate(every, start=1)}
    files["driver"] = f"turnout_shell={shlex.quote(shell)}\n{DRIVER}"
    counts = (str(len(commands)), str(len(every)))
    argv = ("/bin/sh", f"{folder}/driver", folder, phase, *counts, "1" if is_succeeding else "0")
    return Script(files, argv)


def is_shell_name(name: str) -> bool:
    """Whether a shell can hold a variable of this name."""
    return _NAME.fullmatch(name) is not None


def state_for(environment: Mapping[str, str], directory: str) -> str:
    """The state before the first command: everything is exported. Names that no shell can hold are left out."""
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in environment.items()
        if _NAME.fullmatch(name) is not None
    ]
    return "\n".join([*lines, f"cd {shlex.quote(directory)}", ""])


def moved_home(state: str, was: str, now: str) -> str:
    """The state after the engine came back at another address, unless the build has an AWS_ENDPOINT_URL of its own."""
    for line in (f"export AWS_ENDPOINT_URL={shlex.quote(was)}\n", f"export AWS_ENDPOINT_URL='{was}'\n"):
        state = state.replace(line, f"export AWS_ENDPOINT_URL={shlex.quote(now)}\n")
    return state


def variables_in(state: str, names: Sequence[str]) -> dict[str, str]:
    """The values of some variables in a state file, exported or not; a name that is not set is left out."""
    found: dict[str, str] = {}
    if not names:
        return found
    for word in shlex.split(state):
        name, is_assignment, value = word.partition("=")
        if is_assignment and name in names:
            found[name] = value
    return {name: found[name] for name in names if name in found}


def failed_command(result: str, commands: Sequence[str]) -> tuple[str, int]:
    """The command that failed and its exit status, from what the driver left."""
    number, status = result.split()
    return commands[int(number) - 1], int(status)
