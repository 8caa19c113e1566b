# shellcheck shell=bash
# What the tests run against: one real Apache Kafka broker, one real PostgreSQL server and one real MariaDB server, on free loopback
# ports, with their data in a temporary directory that is thrown away. Sourced by tests/run (and, for the installing, by .ci/run):
#
#   ensure_build_tools, ensure_services, ensure_compose   install what is missing, or say what is and exit
#   services_start     start them, wait until they are ready, export LACUNA_TEST_KAFKA, LACUNA_TEST_POSTGRES, LACUNA_TEST_MARIADB and
#                      LACUNA_TEST_PYTHON (a Python with a Kafka client: processors that know nothing but the contract; and with
#                      what verifies signatures), LACUNA_TEST_NODE_PATH (packages of npm that verify signatures),
#                      LACUNA_TEST_AXE (what looks whether everybody can use a page), LACUNA_TEST_OIDC_PROVIDER (a folder with
#                      an identity provider of npm), LACUNA_TEST_CONTRACTS_PYTHON and LACUNA_TEST_ASYNCAPI_NODE_PATH (what
#                      validates OpenAPI and AsyncAPI), LACUNA_TEST_CHART_PYTHON (what renders the chart), LACUNA_TEST_PROMTOOL, LACUNA_TEST_S3_PYTHON (a Python with a server that
#                      speaks as S3 does),
#                      LACUNA_TEST_SCHEMA_REGISTRY (a folder with a schema registry)
#   services_watch     return when one of them has ended
#   services_stop      stop them and remove their data; harmless when nothing runs
#   services_report    print the log of each one that has ended by itself
#
# LACUNA_TEST_FSYNC=on   PostgreSQL syncs its writes, as in production: for benchmarks (default off)
# LACUNA_TEST_SHARED_BUFFERS=4GB   what PostgreSQL keeps in memory: for benchmarks (default 512MB)
# LACUNA_TEST_KEEP=1     leave the temporary directory, with the logs, behind

support_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache_dir="${XDG_CACHE_HOME:-$HOME/.cache}/lacuna"
kafka_version=$(sed -nE 's:.*<kafka\.version>(.*)</kafka\.version>.*:\1:p' "$support_dir/kafka/pom.xml")
kafka_jars="$cache_dir/kafka-$kafka_version"
# The oldest Node that the packages of npm run on.
node_version=18
# A schema registry with the interface of Confluent's.
apicurio_version=3.0.9
apicurio_sha256=2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43

services_dir=""
declare -A service_pid=()

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# ---------------------------------------------------------------------------------------------------- installing

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

# ------------------------------------------------------------------------------------------ starting and stopping

services_start() {
  services_dir=$(mktemp -d "${TMPDIR:-/tmp}/lacuna-services.XXXXXX")
  # The user postgres has to reach its own directory in it.
  chmod 711 "$services_dir"
  launch_postgres
  launch_kafka
  launch_mariadb
  ready_or_relaunch postgres
  ready_or_relaunch kafka
  ready_or_relaunch mariadb
  export LACUNA_TEST_KAFKA="127.0.0.1:$kafka_port"
  export LACUNA_TEST_POSTGRES="postgres://lacuna:$postgres_password@127.0.0.1:$postgres_port/postgres"
  export LACUNA_TEST_MARIADB="mysql://lacuna:$mariadb_password@127.0.0.1:$mariadb_port/mysql"
}

services_watch() {
  wait -n "${service_pid[@]}" || true
}

services_report() {
  local name
  for name in "${!service_pid[@]}"; do
    service_alive "$name" || print_log "$name"
  done
}

services_stop() {
  local name
  for name in "${!service_pid[@]}"; do
    stop_service "$name"
  done
  [[ -n $services_dir ]] || return 0
  if [[ ${LACUNA_TEST_KEEP:-} == 1 ]]; then
    say "kept: $services_dir"
  else
    rm -rf "$services_dir"
  fi
  services_dir=""
}

# Runs a function in the background, in a process group of its own, with its output in a log.
launch() { # name function
  set -m
  "$2" >"$services_dir/$1.log" 2>&1 </dev/null &
  service_pid[$1]=$!
  set +m
}

service_alive() { kill -0 "${service_pid[$1]}" 2>/dev/null; }

# The data is thrown away, so nothing is flushed: PostgreSQL's "immediate" shutdown, and no farewell from the broker.
stop_service() {
  local signal=KILL
  [[ $1 != postgres ]] || signal=QUIT
  kill "-$signal" -- "-${service_pid[$1]}" 2>/dev/null || true
  { wait "${service_pid[$1]}" || true; } 2>/dev/null
  unset "service_pid[$1]"
}

# Between the look for a free port and its use, another process can take the port: then one more try, with another.
ready_or_relaunch() {
  local tries=3
  until await_ready "$1"; do
    if ((--tries == 0)) || ! grep -qi 'address already in use' "$services_dir/$1.log"; then
      print_log "$1"
      die "$1 did not become ready"
    fi
    stop_service "$1"
    "launch_$1"
  done
}

await_ready() {
  local deadline=$((SECONDS + 90))
  until "ready_$1"; do
    service_alive "$1" && ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

print_log() {
  say "---- the last lines of $1's log"
  tail -n 40 "$services_dir/$1.log" >&2 || true
  say "----"
}

# A port that nobody listens on, from below the range that Linux gives to outgoing connections.
free_port() {
  local port
  while read -r port; do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done < <(shuf -i 20000-31999 -n 100)
  die "no free port on loopback"
}

# ---------------------------------------------------------------------------------------------------- PostgreSQL

launch_postgres() {
  postgres_port=$(free_port)
  # A superuser can run programs as the server's user, and loopback is open to every user of this machine.
  postgres_password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  # As root: as user postgres. `setpriv` execs, so the process we started is the server itself.
  postgres_user=()
  ((EUID != 0)) || postgres_user=(--reuid=postgres --regid=postgres --init-groups)
  launch postgres run_postgres
}

# It ends with this script even when that is killed outright (--pdeathsig).
run_postgres() {
  local home="$services_dir/postgres"
  rm -rf "$home"
  mkdir "$home"
  (
    umask 077
    echo "$postgres_password" >"$home/password"
  )
  ((EUID != 0)) || chown -R postgres: "$home"
  cd "$home" || exit
  # Passwords go over loopback as they are: a SCRAM exchange is slow in clients that are built without optimisation.
  setpriv "${postgres_user[@]}" "$postgres_bin/initdb" --pgdata="$home/data" --username=lacuna --pwfile="$home/password" \
    --auth=password --encoding=UTF8 --locale=C.UTF-8 --no-sync
  postgres_settings >>"$home/data/postgresql.conf"
  exec setpriv --pdeathsig QUIT "${postgres_user[@]}" "$postgres_bin/postgres" -D "$home/data" -p "$postgres_port"
}

postgres_settings() {
  local fsync="${LACUNA_TEST_FSYNC:-off}"
  cat <<EOF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = ${LACUNA_TEST_SHARED_BUFFERS:-512MB}
max_wal_size = 8GB
wal_compression = lz4
fsync = $fsync
full_page_writes = $fsync
EOF
}

# The server itself writes its state into line 8, so nobody else's server on that port is taken for ours.
ready_postgres() {
  [[ $(sed -n 8p "$services_dir/postgres/data/postmaster.pid" 2>/dev/null) == ready* ]]
}

# ------------------------------------------------------------------------------------------------------- MariaDB

launch_mariadb() {
  mariadb_port=$(free_port)
  mariadb_password=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  launch mariadb run_mariadb
}

run_mariadb() {
  local home="$services_dir/mariadb" user
  user=$(id -un)
  rm -rf "$home"
  mkdir "$home"
  (
    umask 077
    # A statement a line: it reads no others.
    printf '%s\n' "create user 'lacuna'@'127.0.0.1' identified by '$mariadb_password';" \
      "grant all on *.* to 'lacuna'@'127.0.0.1' with grant option;" >"$home/init.sql"
  )
  mariadb-install-db --no-defaults --datadir="$home/data" --user="$user" --skip-test-db \
    --auth-root-authentication-method=normal
  exec setpriv --pdeathsig QUIT mariadbd --no-defaults --datadir="$home/data" --user="$user" --bind-address=127.0.0.1 \
    --port="$mariadb_port" --socket="$home/socket" --pid-file="$home/pid" --skip-name-resolve --skip-log-bin \
    --init-file="$home/init.sql" --innodb-flush-log-at-trx-commit=0 --max-connections=300
}

ready_mariadb() {
  grep -q "socket: '$services_dir/mariadb/socket'  port: $mariadb_port" "$services_dir/mariadb.log" 2>/dev/null
}

# --------------------------------------------------------------------------------------------------------- Kafka

launch_kafka() {
  kafka_port=$(free_port)
  kafka_controller_port=$kafka_port
  while [[ $kafka_controller_port == "$kafka_port" ]]; do
    kafka_controller_port=$(free_port)
  done
  launch kafka run_kafka
}

run_kafka() {
  local home="$services_dir/kafka" cluster
  rm -rf "$home"
  mkdir "$home"
  kafka_settings >"$home/server.properties"
  kafka_logging >"$home/log4j2.properties"
  # A UUID as Kafka writes it, 16 bytes in base64, but with neither of the two signs that differ in its alphabet.
  cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Lc' | tr -d '=')
  local log4j=-Dlog4j2.configurationFile="$home/log4j2.properties"
  "$java" "$log4j" -cp "$kafka_jars/libs/*" kafka.tools.StorageTool format -t "$cluster" -c "$home/server.properties"
  exec setpriv --pdeathsig KILL "$java" -Xmx512m "$log4j" -cp "$kafka_jars/libs/*" kafka.Kafka "$home/server.properties"
}

kafka_settings() {
  cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$kafka_controller_port
listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$kafka_controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$services_dir/kafka/data
# A topic that Lacuna forgets to create has to show.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# One broker: internal topics cannot have more replicas, and need few partitions.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
EOF
}

# Warnings, and the one line that says that the broker serves.
kafka_logging() {
  cat <<'EOF'
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
EOF
}

ready_kafka() { grep -q 'Kafka Server started' "$services_dir/kafka.log" 2>/dev/null; }
