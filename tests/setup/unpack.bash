# Brings a server that is not to be installed: apt, with lists and an empty package state of its own, downloads it with
# all that it depends on, checked against the archive's keyring; the packages are unpacked into a folder, and its
# programs run through their own loader. Needs neither root nor chroot, and changes nothing of the machine. On Debian it
# comes from the unstable release, on the mirror that the machine's apt already uses; on Ubuntu from what the machine's
# own apt knows.
#
# For install-mysql and install-postgres-18, which say `folder` (where it all lives; downloads in FOLDER/cache), `name`
# (FOLDER/NAME is made) and `instead` (what to do on a machine where this is no way), and define
#   works TREE   whether the server under that folder runs
#   finish       what is to be made of the tree at $new, with the packages' $loader and $libraries
# and then call unpacked WORDS PATTERN…: what it costs, and which package: the newest whose name matches, by the first
# pattern that matches any.

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s: %s\n' "$name" "$*" >&2; exit 1; }

unpacked() {
    local words=$1 pattern
    shift
    folder=$(mkdir -p "$folder" && cd "$folder" && pwd -P)
    final=$folder/$name
    cache=$folder/cache
    ! works "$final" || return 0
    mkdir -p "$cache"
    for tool in apt-get dpkg-deb flock; do
        command -v "$tool" >/dev/null || die "needs $tool, so a Debian or Ubuntu machine; or $instead"
    done
    exec 9>"$cache/lock"
    flock 9
    ! works "$final" || return 0 # another run made it meanwhile

    own_apt
    apt-get "${own_apt[@]}" update || die "apt could not read the release's lists; its own words are above"
    for pattern in "$@"; do
        package=$(newest "$pattern")
        [ -z "$package" ] || break
    done
    [ -n "$package" ] || die "$release has no package like $*; $instead"
    say "$name: unpacking $package of $release under $final ($words)"
    apt-get "${own_apt[@]}" install --download-only -y "$package" ||
        die "apt could not fetch $package; its own words are above"
    unpack
    finish
    works "$new" || die "the unpacked server does not run"
    rm -rf "$final"
    mv "$new" "$final"
    trap - EXIT
}

# The newest package whose name matches.
newest() {
    apt-cache "${own_apt[@]}" --names-only search "$1" | awk '{ print $1 }' | sort -V | tail -n 1
}

# Where the machine's own apt gets the named distribution from; empty where it has no lists yet.
mirror() {
    apt-get indextargets --format '$(CREATED_BY)|$(ORIGIN)|$(LABEL)|$(REPO_URI)' 2>/dev/null |
        awk -F'|' -v name="$1" '$1 == "Packages" && tolower($2) == name && tolower($3) == name { print $4; exit }'
}

# Sets `own_apt`, the options of an apt of its own, and `release`, what it reads, in words.
own_apt() {
    local state=$cache/state uri keyring
    mkdir -p "$state/lists/partial" "$cache/archives/partial" "$state/parts"
    : >"$state/status"
    : >"$state/extended_states"

    # The machine's own configuration, for its proxies; without its hooks, which tend the machine's own cache and lists.
    export APT_CONFIG=$state/apt.conf
    mkdir -p "$state/conf.d"
    printf 'Dir::Etc::parts "%s";\n' "$state/conf.d" >"$APT_CONFIG"
    cp -rL /etc/apt/apt.conf.d/. "$state/conf.d/" 2>/dev/null || true
    printf '#clear APT::Update;\n#clear DPkg::Post-Invoke;\n#clear DPkg::Pre-Invoke;\n' >"$state/conf.d/zzz-no-hooks"

    own_apt=(
        -qq
        -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
        -o "Dir::State::extended_states=$state/extended_states"
        -o "Dir::Cache=$cache" -o "Dir::Cache::archives=$cache/archives"
        -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
        -o "Dir::Etc::preferences=/dev/null" -o "Dir::Etc::preferencesparts=$state/parts"
        -o "APT::Sandbox::User=" -o "APT::Install-Recommends=false" -o "Acquire::Languages=none"
        -o "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"
        -o "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"
        -o "Acquire::Retries=3"
        # A mirror that is a snapshot may be older than a release allows; the signature is checked all the same.
        -o "Acquire::Check-Valid-Until=false"
    )
    case $(. /etc/os-release && printf '%s' "${ID:-unknown}") in
        debian)
            release="Debian unstable"
            uri=$(mirror debian)
            if [ -z "$uri" ] && [ "$(id -u)" = 0 ]; then
                APT_CONFIG= apt-get -q update
                uri=$(mirror debian)
            fi
            [ -n "$uri" ] || die "apt knows no mirror of Debian yet; run: sudo apt-get update"
            keyring=/usr/share/keyrings/debian-archive-keyring.gpg
            [ -r "$keyring" ] || die "$keyring is missing; run: sudo apt-get install debian-archive-keyring"
            printf 'deb [signed-by=%s] %s unstable main\n' "$keyring" "$uri" >"$state/sources.list"
            own_apt+=(-o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=$state/parts")
            ;;
        ubuntu) release="this release" ;; # the machine's own sources, with the lists and the state above
        *) die "this is neither Debian nor Ubuntu; $instead" ;;
    esac
}

# Unpacks what was fetched, beside the place where it will be: what is there is whole. Sets `new`, `loader` (the path
# of the packages' own in it) and `libraries` (the folders of theirs, each after "$here/", by colons).
unpack() {
    local names file triplet
    rm -rf "$folder/$name".new.*
    new=$(mktemp -d "$folder/$name.new.XXXXXX")
    chmod 755 "$new"
    trap 'rm -rf "$new"' EXIT
    # The names that this very download consists of: the cache may hold an older one's too.
    names=$(apt-get "${own_apt[@]}" install --print-uris -y "$package" -o "Dir::Cache::archives=$cache/state/none" \
        2>/dev/null | awk '/^'"'"'/ { print $2 }')
    [ -n "$names" ] || die "apt did not say which packages $package consists of"
    for file in $names; do
        [ -e "$cache/archives/$file" ] || die "$file was not fetched"
        dpkg-deb -x "$cache/archives/$file" "$new"
    done
    # Older releases keep programs and libraries outside /usr too; newer ones only there.
    loader=$(find "$new" -name 'ld-linux*.so.*' | sort | head -n 1)
    [ -n "$loader" ] || die "the packages hold no ld-linux"
    loader=${loader#"$new"/}
    triplet=$(basename "$(find "$new/usr/lib" -maxdepth 1 -name '*-linux-gnu*' | head -n 1)")
    libraries="\$here/usr/lib/$triplet:\$here/lib/$triplet"
}
