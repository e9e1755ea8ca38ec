"""The Python example that `tidemark serve` prints, pasted into a shell as it stands."""

import os
import subprocess
import sys
import tempfile

import mock


def paste(*flags):
    with tempfile.TemporaryDirectory(prefix="tidemark-client-") as folder:
        command = [mock.TIDEMARK, "serve", "--org", folder + "/org.db", *flags]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            text = ""
            for line in server.stdout:
                text += line
                if line.startswith("# connector"):
                    break
            example = text[text.index("\n# Python"):text.index("\n# connector")]
            path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
            done = subprocess.run(["sh", "-c", example], env={**os.environ, "PATH": path}, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        finally:
            server.terminate()
            server.wait(20)
        assert done.returncode == 0, done.stdout
        created, records = done.stdout.strip().split("\n")
        assert "'success', True" in created or "'success': True" in created, created
        assert records.count("SystemModstamp") == 3, records


def the_printed_example_works_over_http():
    paste()


def the_printed_example_works_over_https():
    paste("--tls")


def it_works_with_a_password_full_of_quotes():
    paste("--tls", "--password", "p & \"w'$HOME `x` \\ é%41", "--username", "o'neil+a@tide.example")


mock.run(the_printed_example_works_over_http, the_printed_example_works_over_https,
         it_works_with_a_password_full_of_quotes)
