"""The broker of `broker.py` with its doors locked: TLS, users with passwords (SCRAM), and nothing allowed
that no access control list allows.

    python deploy/kafka/secured.py FOLDER

makes certificates in FOLDER, prints the address for TLS with SCRAM, and leaves `admin.properties` there,
which lets a super user in (`ONCUE_KAFKA_CONFIG`). It is for trials and tests: the broker's own door, which it
uses to talk to itself, stays open to everybody on this machine.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.kafka.broker import KafkaBroker, free_port, run

SUPER = "admin"
PASSWORD = "for-trials-only"
STORE = "changeit"  # keytool asks for six letters

PROPERTIES = """\
listeners=OWN://127.0.0.1:{port},SCRAM://127.0.0.1:{scram},CERTIFIED://127.0.0.1:{certified},\\
  CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=OWN:PLAINTEXT,SCRAM:SASL_SSL,CERTIFIED:SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OWN
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=\\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.location={folder}/broker.p12
ssl.keystore.type=PKCS12
ssl.keystore.password={store}
ssl.truststore.location={folder}/trusted.p12
ssl.truststore.type=PKCS12
ssl.truststore.password={store}
listener.name.certified.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{super};User:ANONYMOUS
"""


class SecuredKafkaBroker(KafkaBroker):
    """`scram` is the address for TLS with SCRAM-SHA-512, `certified` that for TLS with a client's
    certificate; `bootstrap` is the open door, whose users may do everything.

    `add` makes a user, `allow` lets users do things, `settings` is what the client of a user needs.
    """

    def __init__(self, certificates: Path, data: Path | None = None) -> None:
        super().__init__(data, brief=True)
        self.certificates = certificates.resolve()
        self._ports = {"scram": free_port(), "certified": free_port()}
        self.scram, self.certified = (f"127.0.0.1:{port}" for port in self._ports.values())

    def start(self) -> None:
        self.certificates.mkdir(parents=True, exist_ok=True)
        _make_certificates(self.certificates)
        super().start()

    def settings(self, user: str = SUPER, password: str = PASSWORD) -> dict[str, str]:
        return {
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": password,
            "ssl.ca.location": str(self.certificates / "broker.pem"),
        }

    def certificate(self) -> dict[str, str]:
        """Settings of the client that is known by its certificate, as User:CN=client."""
        return {
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.certificates / "broker.pem"),
            "ssl.keystore.location": str(self.certificates / "client.p12"),
            "ssl.keystore.password": STORE,
        }

    def add(self, user: str, password: str) -> None:
        """A user, who may do nothing yet."""
        told = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        wish = UserScramCredentialUpsertion(user, told, password.encode())
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.alter_user_scram_credentials([wish])[user].result(10)

    def allow(self, bindings: list[AclBinding]) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_acls(bindings).values():
            future.result(10)

    def _properties(self, **places: object) -> str:
        open_to_all = super()._properties(**places).splitlines()
        kept = [line for line in open_to_all if not line.startswith("listeners=")]
        values = {**places, **self._ports, "folder": self.certificates, "store": STORE, "super": SUPER}
        return "\n".join(kept) + "\n" + PROPERTIES.format(**values)


def _make_certificates(folder: Path) -> None:
    """The broker's and one client's, each signed by itself and trusted by the other side."""
    if (folder / "trusted.p12").exists():
        return
    for name, more in (("broker", ["-ext", "SAN=IP:127.0.0.1,DNS:localhost"]), ("client", [])):
        store = ["-keystore", str(folder / f"{name}.p12"), "-storetype", "PKCS12", "-storepass", STORE]
        _keytool("-genkeypair", "-alias", name, "-keyalg", "EC", "-groupname", "secp256r1",
                 "-validity", "3650", "-dname", f"CN={name}", *more, *store)  # fmt: skip
        _keytool("-exportcert", "-rfc", "-alias", name, "-file", str(folder / f"{name}.pem"), *store)
    _keytool("-importcert", "-noprompt", "-alias", "client", "-file", str(folder / "client.pem"),
             "-keystore", str(folder / "trusted.p12"), "-storetype", "PKCS12",
             "-storepass", STORE)  # fmt: skip


def _keytool(*words: str) -> None:
    program = shutil.which("keytool") or "keytool"
    done = subprocess.run(
        [program, "-J-XX:TieredStopAtLevel=1", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"keytool {words[0]}: {done.stdout}{done.stderr}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    broker = SecuredKafkaBroker(folder)

    def address() -> str:
        broker.add(SUPER, PASSWORD)
        lines = [f"{name}={value}" for name, value in broker.settings().items()]
        (folder / "admin.properties").write_text("\n".join(lines) + "\n")
        return broker.scram

    run(broker, address)


if __name__ == "__main__":
    main()
