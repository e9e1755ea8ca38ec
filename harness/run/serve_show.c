#include "run/serve_show.h"
#include <ctype.h>
#include <string.h>

/* ---- quoting ---- */

/* For a shell, between single quotes. */
static void show_shell(struct tm_buf *out, const char *text)
{
    tm_buf_addc(out, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            tm_buf_addz(out, "'\\''");
        else
            tm_buf_addc(out, *p);
    }
    tm_buf_addc(out, '\'');
}

/* A string of JSON, which is one of Python too. */
static void show_quoted(struct tm_buf *out, const char *text)
{
    tm_buf_add_json_string(out, text, strlen(text));
}

/* --data-urlencode 'name=value' */
static void show_field(struct tm_buf *out, const char *name, const char *value, const char *more)
{
    struct tm_buf pair;
    tm_buf_init(&pair, 4096);
    tm_buf_addf(&pair, "%s=%s%s", name, value, more);
    tm_buf_addz(out, " \\\n  --data-urlencode ");
    show_shell(out, tm_buf_text(&pair));
    tm_buf_free(&pair);
}

/* ---- the parts ---- */

static void show_credentials(struct tm_buf *out, const struct tm_serve_facts *f)
{
    const struct {
        const char *name, *value;
    } lines[] = {
        { "username", f->username },
        { "password", f->password },
        { "security token", f->password_token },
        { "consumer key", f->consumer_key },
        { "consumer secret", f->consumer_secret },
        { "refresh token", f->refresh_token },
        { "JWT certificate",
          f->jwt_certificate != NULL ? f->jwt_certificate : "none (--jwt-certificate FILE)" },
        { "org", f->org_path != NULL ? f->org_path
                                     : "in memory, gone when this stops (--org FILE keeps it)" },
        { "CA certificate", f->ca_path },
        { "reached from", f->loopback
                              ? "this machine only (--bind ADDRESS opens it to others)"
                              : "OTHER MACHINES TOO: they can sign in with the above, and use the "
                                "control API under /tidemark/v1/ without" },
    };
    tm_buf_addc(out, '\n');
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i].value != NULL)
            tm_buf_addf(out, "  %-16s %s\n", lines[i].name, lines[i].value);
    tm_buf_addz(out, "\nPaste any of these into a shell.\n");
}

static void show_curl(struct tm_buf *out, const struct tm_serve_facts *f)
{
    tm_buf_addz(out, "\n# curl\nask() { curl -sS");
    if (f->ca_path != NULL) {
        tm_buf_addz(out, " --cacert ");
        show_shell(out, f->ca_path);
    }
    tm_buf_addf(out,
                " \"$@\"; echo; }; URL=%s\nTOKEN=$(ask $URL/services/oauth2/token \\\n"
                "  -d grant_type=password",
                f->url);
    show_field(out, "client_id", f->consumer_key, "");
    show_field(out, "client_secret", f->consumer_secret, "");
    show_field(out, "username", f->username, "");
    show_field(out, "password", f->password, f->password_token);
    tm_buf_addf(out,
                " \\\n  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n"
                "ask -H \"Authorization: Bearer $TOKEN\" -G $URL/services/data/v59.0/query/ \\\n"
                "  --data-urlencode 'q=SELECT Id, SystemModstamp FROM %s LIMIT 3'\n",
                f->object);
    if (strcmp(f->object, "Account") == 0)
        tm_buf_addz(
            out,
            "# create, update, delete; undelete is SOAP's; what subscribers heard of it\n"
            "rest() { ask -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: "
            "application/json' \"$@\"; }\n"
            "ID=$(rest $URL/services/data/v59.0/sobjects/Account -d '{\"Name\": \"Tide Ltd\"}' \\\n"
            "  | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n"
            "rest -X PATCH $URL/services/data/v59.0/sobjects/Account/$ID -d '{\"Industry\": "
            "\"Energy\"}'\n"
            "rest -X DELETE $URL/services/data/v59.0/sobjects/Account/$ID\n"
            "ask $URL/services/Soap/u/59.0 -H 'Content-Type: text/xml' -H 'SOAPAction: \"\"' -d "
            "\\\n"
            "'<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" "
            "xmlns=\"urn:partner.soap.sforce.com\">\n"
            "<e:Header><SessionHeader><sessionId>'$TOKEN'</sessionId></SessionHeader></e:Header>\n"
            "<e:Body><undelete><ids>'$ID'</ids></undelete></e:Body></e:Envelope>'\n"
            "ask \"$URL/tidemark/v1/history?object=Account&id=$ID\"\n");
    else
        tm_buf_addz(out, "ask \"$URL/tidemark/v1/history?limit=1\"\n");
}

static void show_python(struct tm_buf *out, const struct tm_serve_facts *f)
{
    tm_buf_addf(out,
                "\n# Python: pip install simple-salesforce\npython3 - <<'END'\n"
                "import requests\nfrom simple_salesforce import Salesforce\n\n\n"
                "class Mock(requests.adapters.HTTPAdapter):\n"
                "    \"\"\"The client speaks to https://login.salesforce.com: that is us.\"\"\"\n"
                "    def send(self, request, **options):\n"
                "        request.url = \"%s/\" + request.url.split(\"/\", 3)[3]\n"
                "        return super().send(request, **options)\n\n\n"
                "session = requests.Session()\nsession.trust_env = False\n",
                f->url);
    if (f->ca_path != NULL) {
        tm_buf_addz(out, "session.verify = ");
        show_quoted(out, f->ca_path);
        tm_buf_addc(out, '\n');
    }
    tm_buf_addz(out, "session.mount(\"https://\", Mock())\nsf = Salesforce(username=");
    show_quoted(out, f->username);
    tm_buf_addz(out, ", password=");
    show_quoted(out, f->password);
    tm_buf_addz(out, ",\n                security_token=");
    show_quoted(out, f->password_token);
    tm_buf_addz(out, ", session=session)\n");
    if (strcmp(f->object, "Account") == 0)
        tm_buf_addz(out, "print(sf.Account.create({\"Name\": \"Python Ltd\"}))\n");
    tm_buf_addf(out,
                "print(sf.query(\"SELECT Id, SystemModstamp FROM %s LIMIT 3\")[\"records\"])\n"
                "END\n",
                f->object);
}

static void show_key(struct tm_buf *out, const char *name, const char *value)
{
    tm_buf_addf(out, "  \"%s\": ", name);
    show_quoted(out, value);
    tm_buf_addz(out, ",\n");
}

static void show_connector(struct tm_buf *out, const struct tm_serve_facts *f)
{
    char lower[96] = "";
    for (size_t i = 0; f->object[i] != '\0' && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)f->object[i]);
    tm_buf_addf(
        out,
        "\n# connector: a Salesforce CDC source, for tidemark source and for Kafka Connect\n"
        "cat >%s.json <<'END'\n{\n",
        lower);
    show_key(out, "connector.class", "SalesforceCdcSource");
    tm_buf_addf(out, "  \"kafka.topic\": \"sfdc.cdc.%s_raw\",\n", lower);
    show_key(out, "salesforce.instance", f->url);
    show_key(out, "salesforce.username", f->username);
    show_key(out, "salesforce.password", f->password);
    show_key(out, "salesforce.password.token", f->password_token);
    show_key(out, "salesforce.consumer.key", f->consumer_key);
    show_key(out, "salesforce.consumer.secret", f->consumer_secret);
    tm_buf_addf(out,
                "  \"salesforce.cdc.name\": \"%sChangeEvent\",\n"
                "  \"salesforce.initial.start\": \"latest\",\n"
                "  \"output.data.format\": \"AVRO\",\n  \"tasks.max\": \"1\"\n}\nEND\n"
                "# then: tidemark source %s.json --brokers HOST:PORT --registry URL",
                f->object, lower);
    if (f->ca_path != NULL) {
        tm_buf_addz(out, " --ca-file ");
        show_shell(out, f->ca_path);
    }
    tm_buf_addc(out, '\n');
}

void tm_serve_show(struct tm_buf *out, const struct tm_serve_facts *f)
{
    tm_buf_addf(out, "%s\n", f->url);
    show_credentials(out, f);
    show_curl(out, f);
    show_python(out, f);
    show_connector(out, f);
    tm_buf_addc(out, '\n');
}

json_t *tm_serve_json(const struct tm_serve_facts *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "url", f->url,
                     "username", f->username, "password", f->password, "password_token",
                     f->password_token, "consumer_key", f->consumer_key, "consumer_secret",
                     f->consumer_secret, "refresh_token", f->refresh_token, "jwt_certificate",
                     f->jwt_certificate, "org", f->org_path, "ca_file", f->ca_path);
}
