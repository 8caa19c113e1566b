# shellcheck shell=bash
# Installs what the build and the tests need beside Rust: Debian packages, and in a cache Kafka's jars, a schema registry, and
# packages of PyPI and npm with the digests that they have to have. Each function installs what is missing, exports where it is, or
# says what is missing and exits. Sourced by .ci/run and services.sh:
#
#   ensure_build_tools   what `cargo build --no-default-features` needs
#   ensure_compose       what checks docker-compose.yml
#   ensure_services      what the tests run against, and the variables of `installed_variables`

support_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache_dir="${XDG_CACHE_HOME:-$HOME/.cache}/lacuna"
kafka_version=$(sed -nE 's:.*<kafka\.version>(.*)</kafka\.version>.*:\1:p' "$support_dir/kafka/pom.xml")
kafka_jars="$cache_dir/kafka-$kafka_version"
# The oldest Node that the packages of npm run on.
node_version=18
# A schema registry with the interface of Confluent's.
apicurio_version=3.0.9
apicurio_sha256=2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43

# What ensure_services exports for the tests.
installed_variables=(
  LACUNA_TEST_PYTHON             # a Python with a Kafka client (processors that know nothing but the contract) and with what verifies signatures
  LACUNA_TEST_NODE_PATH          # packages of npm that verify signatures
  LACUNA_TEST_AXE                # what looks whether everybody can use a page
  LACUNA_TEST_OIDC_PROVIDER      # a folder with an identity provider of npm
  LACUNA_TEST_CONTRACTS_PYTHON   # what validates OpenAPI
  LACUNA_TEST_ASYNCAPI_NODE_PATH # what validates AsyncAPI
  LACUNA_TEST_CHART_PYTHON       # what renders the Helm chart
  LACUNA_TEST_PROMTOOL           # what runs the tests of the alert rules
  LACUNA_TEST_S3_PYTHON          # a Python with a server that speaks as S3 does
  LACUNA_TEST_SCHEMA_REGISTRY    # a folder with a schema registry
)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
}

# Installs Debian packages. Callers check afterwards that what they needed is really there.
install_packages() {
  command -v apt-get >/dev/null ||
    die "missing here: $*. There is no apt-get to install these Debian packages with: install what they hold by hand."
  ((EUID == 0)) || sudo -n true 2>/dev/null ||
    die "missing here: $*. Install them: sudo apt-get install $*"
  say "installing Debian packages: $*"
  mkdir -p "$cache_dir"
  # The lock is for two runs that start together: apt's own covers only a part of what it does.
  (
    flock 9
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get -qq update &&
      as_root apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
  ) 9>"$cache_dir/install.lock" >&2 || die "apt-get could not install: $*"
}

# What `cargo build --no-default-features` needs beside Rust: librdkafka is compiled, and links the system's OpenSSL.
ensure_build_tools() {
  command -v cargo >/dev/null || die "missing here: cargo. Install Rust with rustup."
  local packages=()
  { command -v cc && command -v c++ && command -v make; } >/dev/null || packages+=(build-essential)
  command -v pkg-config >/dev/null || packages+=(pkg-config)
  pkg-config --exists openssl 2>/dev/null || packages+=(libssl-dev)
  ((${#packages[@]})) || return 0
  install_packages "${packages[@]}"
  { command -v cc && command -v c++ && command -v make && pkg-config --exists openssl; } >/dev/null ||
    die "still missing after installing ${packages[*]}: a C and C++ compiler, make, or OpenSSL's headers"
}

ensure_compose() {
  command -v docker-compose >/dev/null || install_packages docker-compose
  command -v docker-compose >/dev/null || die "missing here: docker-compose"
}

ensure_services() {
  ensure_java
  ensure_kafka_jars
  ensure_postgres
  ensure_mariadb
  ensure_python
  ensure_node_packages
  ensure_contract_tools
  ensure_promtool
  ensure_systemd_analyze
  ensure_identity_provider
  ensure_browser
  ensure_schema_registry
}

# A schema registry, in the cache: Apicurio Registry of Maven Central, with the digest that it has to have. The tests that need it
# start it with `start PORT`; it keeps everything in memory.
ensure_schema_registry() {
  LACUNA_TEST_SCHEMA_REGISTRY="$cache_dir/apicurio-registry-$apicurio_version"
  export LACUNA_TEST_SCHEMA_REGISTRY
  [[ ! -x $LACUNA_TEST_SCHEMA_REGISTRY/start ]] || return 0
  find_java || ensure_java
  command -v mvn >/dev/null || install_packages maven
  command -v mvn >/dev/null || die "missing here: mvn (Maven), which fetches Apicurio Registry"
  mkdir -p "$cache_dir"
  say "fetching Apicurio Registry $apicurio_version into $LACUNA_TEST_SCHEMA_REGISTRY"
  (
    flock 9
    [[ ! -x $LACUNA_TEST_SCHEMA_REGISTRY/start ]] || exit 0
    fetched=$(mktemp -d "$cache_dir/apicurio.XXXXXX")
    trap 'rm -rf "$fetched"' EXIT
    archive="apicurio-registry-app-$apicurio_version-all.tar.gz"
    mvn --quiet --batch-mode --strict-checksums dependency:copy \
      -Dartifact="io.apicurio:apicurio-registry-app:$apicurio_version:tar.gz:all" -DoutputDirectory="$fetched" &&
      echo "$apicurio_sha256  $fetched/$archive" | sha256sum --check --quiet &&
      mkdir "$fetched/registry" &&
      tar --extract --gzip --file "$fetched/$archive" --directory "$fetched/registry" &&
      {
        printf '#!/bin/sh\n# start PORT: on loopback, in memory.\ncd "$(dirname "$0")" || exit\n'
        printf 'exec "%s" -Xmx384m -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$1" -jar apicurio-registry-app-%s-runner.jar\n' \
          "$java" "$apicurio_version"
      } >"$fetched/registry/start" &&
      chmod +x "$fetched/registry/start" &&
      rm -rf "$LACUNA_TEST_SCHEMA_REGISTRY" &&
      mv "$fetched/registry" "$LACUNA_TEST_SCHEMA_REGISTRY"
  ) 9>"$cache_dir/apicurio.lock" >&2 || die "Apicurio Registry could not be fetched with Maven, or is not the one that is pinned (see above)"
}

# A browser for the pages of the console, and what drives it.
ensure_browser() {
  { command -v chromium && command -v chromedriver; } >/dev/null || install_packages chromium chromium-driver
  { command -v chromium && command -v chromedriver; } >/dev/null ||
    die "missing here: chromium and chromedriver, which the tests of the console need"
}

# What validates our descriptions of the API and of the topics, and is not ours: each package with the digest that it has to have.
ensure_contract_tools() {
  python_environment LACUNA_TEST_CONTRACTS_PYTHON contracts
  local folder
  node_packages folder contracts
  export LACUNA_TEST_ASYNCAPI_NODE_PATH="$folder/node_modules"
}

# Virtual environments of our own, in the cache: the README's processor and those of the tests run in the first, which also verifies our
# signatures with what is not ours; the chart is rendered in the second, and the third serves buckets.
ensure_python() {
  python_environment LACUNA_TEST_PYTHON tests
  python_environment LACUNA_TEST_CHART_PYTHON chart
  python_environment LACUNA_TEST_S3_PYTHON s3
}

# Sets a variable to the interpreter of an environment that has what a file pins, each package with the digest that it has to have, and
# exports it.
python_environment() { # variable file
  local -n interpreter=$1
  export "${1?}"
  local pinned="$support_dir/python/$2.txt"
  # Whatever is asked for has an environment of its own, so that a changed version makes a new one.
  local made
  made="$cache_dir/venv-$(sha256sum "$pinned" | cut -c-16)"
  interpreter="$made/bin/python"
  [[ ! -e $made/installed ]] || return 0
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
  mkdir -p "$cache_dir"
  (
    flock 9
    [[ ! -e $made/installed ]] || exit 0
    # Programs of an environment name its interpreter by its path, so it is made in place; that it is finished is said last.
    rm -rf "$made" &&
      python3 -m venv --without-pip "$made" &&
      python3 -m pip --quiet --disable-pip-version-check --python "$interpreter" install \
        --only-binary :all: --require-hashes --requirement "$pinned" &&
      touch "$made/installed"
  ) 9>"$cache_dir/python.lock" >&2 || die "what $pinned pins could not be installed with pip (see above)"
}

# promtool, which tests alert rules. It comes with Debian's package of Prometheus, whose server would start where it is installed, so it is
# only taken out.
ensure_promtool() {
  LACUNA_TEST_PROMTOOL=$(command -v promtool || echo "$cache_dir/prometheus/usr/bin/promtool")
  export LACUNA_TEST_PROMTOOL
  [[ ! -x $LACUNA_TEST_PROMTOOL ]] || return 0
  command -v apt-get >/dev/null || die "missing here: promtool. It is a part of Prometheus."
  mkdir -p "$cache_dir"
  (
    flock 9
    [[ ! -x $LACUNA_TEST_PROMTOOL ]] || exit 0
    fetched=$(mktemp -d "$cache_dir/prometheus.XXXXXX")
    trap 'rm -rf "$fetched"' EXIT
    as_root apt-get -qq update &&
      (cd "$fetched" && apt-get -qq download prometheus && dpkg-deb --extract prometheus_*.deb tree) &&
      rm -rf "$cache_dir/prometheus" &&
      mv "$fetched/tree" "$cache_dir/prometheus"
  ) 9>"$cache_dir/prometheus.lock" >&2 || die "promtool could not be taken out of Debian's package prometheus (see above)"
}

# systemd-analyze, which judges the unit.
ensure_systemd_analyze() {
  command -v systemd-analyze >/dev/null || install_packages systemd
  command -v systemd-analyze >/dev/null || die "missing here: systemd-analyze"
}

# Node and npm, new enough for what is installed with them.
ensure_node() {
  { command -v node && command -v npm; } >/dev/null || install_packages nodejs npm
  local version
  version=$(node --version) || die "missing here: node"
  version=${version#v}
  ((${version%%.*} >= node_version)) || die "node is $version here, and the tests need $node_version or newer"
}

# Sets a variable to a folder of the cache that has what a lock file names, each package with the digest that stands there, and exports it.
node_packages() { # variable folder-of-lock-file
  local -n installed=$1
  export "${1?}"
  local pinned="$support_dir/$2"
  # Whatever is asked for has a folder of its own, so that a changed version makes a new one.
  installed="$cache_dir/node-$2-$(sha256sum "$pinned/package-lock.json" | cut -c-16)"
  ensure_node
  [[ ! -e $installed/installed ]] || return 0
  mkdir -p "$cache_dir"
  (
    flock 9
    [[ ! -e $installed/installed ]] || exit 0
    rm -rf "$installed" &&
      mkdir -p "$installed" &&
      cp "$pinned/package.json" "$pinned/package-lock.json" "$installed/" &&
      npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$installed" &&
      touch "$installed/installed"
  ) 9>"$cache_dir/node.lock" >&2 || die "what $pinned pins could not be installed with npm (see above)"
}

# What verifies our signatures, and what looks at the pages of the console.
ensure_node_packages() {
  local folder
  node_packages folder node
  LACUNA_TEST_NODE_PATH="$folder/node_modules"
  LACUNA_TEST_AXE="$LACUNA_TEST_NODE_PATH/axe-core/axe.min.js"
  export LACUNA_TEST_NODE_PATH LACUNA_TEST_AXE
}

# An identity provider.
ensure_identity_provider() {
  node_packages LACUNA_TEST_OIDC_PROVIDER oidc
}

# Sets `java` to the first Java that is new enough for Kafka 4 (17).
find_java() {
  local candidate major
  for candidate in "${JAVA_HOME:-}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
    [[ -x $candidate ]] || continue
    major=$("$candidate" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p')
    if ((${major:-0} >= 17)); then
      java=$candidate
      return
    fi
  done
  return 1
}

ensure_java() {
  find_java || install_packages default-jre-headless
  find_java || die "missing here: Java 17 or newer, which Kafka $kafka_version needs"
}

# Copies Kafka's jars into the cache, once. The pom is kept beside them: a changed one fetches anew.
ensure_kafka_jars() {
  local pom="$support_dir/kafka/pom.xml"
  cmp -s "$pom" "$kafka_jars/pom.xml" && return
  command -v mvn >/dev/null || install_packages maven
  command -v mvn >/dev/null || die "missing here: mvn (Maven), which fetches Kafka's jars"
  mkdir -p "$cache_dir"
  say "fetching Apache Kafka $kafka_version into $kafka_jars"
  (
    flock 9
    cmp -s "$pom" "$kafka_jars/pom.xml" && exit
    # Renamed into place when it is complete, so that an interrupted fetch is never taken for a finished one.
    fetched=$(mktemp -d "$cache_dir/kafka.XXXXXX")
    trap 'rm -rf "$fetched"' EXIT
    cp "$pom" "$fetched/pom.xml" &&
      mvn --quiet --batch-mode --strict-checksums --file "$fetched/pom.xml" \
        dependency:copy-dependencies -DoutputDirectory="$fetched/libs" &&
      rm -rf "$kafka_jars" &&
      mv "$fetched" "$kafka_jars"
  ) 9>"$cache_dir/kafka.lock" >&2 || die "Kafka's jars could not be fetched with Maven (see above)"
}

# Sets `postgres_bin` to the newest PostgreSQL server on this machine. Debian keeps its programs off the PATH.
find_postgres() {
  local candidate
  while read -r candidate; do
    if [[ -x $candidate/initdb && -x $candidate/postgres ]]; then
      postgres_bin=$candidate
      return
    fi
  done < <(
    { compgen -G '/usr/lib/postgresql/*/bin' || true; } | sort --version-sort --reverse
    dirname "$(command -v postgres || true)"
  )
  return 1
}

ensure_postgres() {
  find_postgres || install_packages postgresql
  find_postgres || die "missing here: a PostgreSQL server (initdb and postgres)"
  # The server refuses to run as root.
  ((EUID != 0)) || id postgres >/dev/null 2>&1 || die "missing here: the user postgres, which the server runs as when we are root"
}

ensure_mariadb() {
  command -v mariadbd >/dev/null || install_packages mariadb-server
  { command -v mariadbd && command -v mariadb-install-db; } >/dev/null ||
    die "missing here: a MariaDB server (mariadbd and mariadb-install-db)"
}
