# shellcheck shell=bash
# What the scripts beside it have in common: to say what they do, and to install packages of the system where that needs
# no question. Sourced, not run.

say() { echo "${0##*/}: $*" >&2; }
die() {
    say "$@"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, if that needs no question.
as_root() {
    if [[ "$(id -u)" == 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}
can_be_root() { [[ "$(id -u)" == 0 ]] || { has sudo && sudo -n true 2>/dev/null; }; }

apt_install() {
    if ! can_be_root; then
        die "run this, then try again: sudo apt-get update && sudo apt-get install -y $*"
    fi
    say "installing: $*"
    as_root apt-get update -qq </dev/null >&2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
}
