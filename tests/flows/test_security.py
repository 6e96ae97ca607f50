"""How clients connect: what the environment says, and everything that is wrong with it at once."""

from pathlib import Path

import pytest

from flows import kafka, security
from flows.kafka import KafkaTrouble

SCRAM = {
    "ONCUE_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "ONCUE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "ONCUE_KAFKA_SASL_USERNAME": "oncue",
}


def test_a_file_gives_settings_and_a_variable_counts_more(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(
        "# how to connect\n\nsecurity.protocol = SASL_SSL\nsasl.mechanisms=SCRAM-SHA-512\n"
        "sasl.username=oncue\nsasl.password=a=b\n"
    )
    found, wrong = security.settings(
        {"ONCUE_KAFKA_CONFIG": str(file), "ONCUE_KAFKA_SASL_USERNAME": "other", "PATH": "/bin"}
    )
    assert wrong == []
    assert found == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "other",
        "sasl.password": "a=b",
    }


def test_a_secret_comes_from_a_file_of_its_own_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush \n")
    found, wrong = security.settings({**SCRAM, "ONCUE_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password")})
    assert wrong == []
    assert found["sasl.password"] == "hush "


def test_every_mistake_is_told_at_once_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("sasl.pasword=hush\nsasl.jaas.config=hush\nacks=1\njust words\n")
    _, wrong = security.settings(
        {
            "ONCUE_KAFKA_CONFIG": str(file),
            "ONCUE_KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "ONCUE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-521",
            "ONCUE_KAFKA_SSL_CA_LOCATION": str(tmp_path / "ca.pem"),
            "ONCUE_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "nothing"),
        }
    )
    said = "\n".join(wrong)
    assert "hush" not in said
    for words in (
        f"{file}:1: sasl.pasword",
        "did you mean 'sasl.password'?",
        f"{file}:2: sasl.jaas.config is a setting of Java clients: write sasl.username and sasl.password",
        f"{file}:3: acks",
        f"{file}:4: a line is name=value",
        f"ONCUE_KAFKA_SASL_PASSWORD_FILE: cannot read {tmp_path / 'nothing'}",
        "did you mean 'SCRAM-SHA-512'?",
        "ssl.ca.location without TLS: write security.protocol=sasl_ssl",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"security.protocol": "tls"}, "must be one of plaintext, ssl"),
        ({"sasl.username": "a"}, "sasl.username without SASL"),
        ({"security.protocol": "sasl_ssl"}, "sasl.mechanism is missing"),
        (
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.username": "a"},
            "ONCUE_KAFKA_SASL_PASSWORD_FILE",
        ),
        ({"security.protocol": "ssl", "ssl.key.pem": "k"}, "needs its ssl.certificate.location"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/no/where"}, "cannot read /no/where"),
    ],
)
def test_settings_that_do_not_fit_together(given: dict[str, str], said: str) -> None:
    variables = {"ONCUE_KAFKA_" + name.upper().replace(".", "_"): value for name, value in given.items()}
    _, wrong = security.settings(variables)
    assert len(wrong) == 1
    assert said in wrong[0]


def test_what_only_the_client_library_can_see_is_told_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCUE_KAFKA_SECURITY_PROTOCOL", "ssl")
    monkeypatch.setenv("ONCUE_KAFKA_SSL_CA_PEM", "no certificate")
    with pytest.raises(KafkaTrouble, match=r"ssl\.ca\.pem.*docs/security\.md"):
        kafka.admin("127.0.0.1:9")
