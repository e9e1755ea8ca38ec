// Salesforce's own SOAP client, and the CometD project's Java client with a replay extension as the EMP connector
// has one; over HTTP and HTTPS. Run as a single source file.

import com.sforce.soap.partner.PartnerConnection;
import com.sforce.soap.partner.QueryResult;
import com.sforce.soap.partner.SaveResult;
import com.sforce.soap.partner.UndeleteResult;
import com.sforce.soap.partner.fault.ApiFault;
import com.sforce.soap.partner.sobject.SObject;
import com.sforce.ws.ConnectorConfig;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.cometd.bayeux.Channel;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.client.BayeuxClient;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.api.Request;
import org.eclipse.jetty.client.dynamic.HttpClientTransportDynamic;
import org.eclipse.jetty.io.ClientConnector;
import org.eclipse.jetty.util.ssl.SslContextFactory;

class JavaClients {
    static final String CHANNEL = "/data/AccountChangeEvent";
    static final long WAIT_S = 20;

    /** `tidemark serve` on a free port, killed and started again on the same org. */
    static class Mock implements AutoCloseable {
        final Path folder = Files.createTempDirectory("tidemark-client-");
        final boolean tls;
        String base, port = "0";
        Process process;

        Mock(boolean tls) throws Exception {
            this.tls = tls;
            start();
        }

        void start() throws Exception {
            List<String> command = new ArrayList<>(List.of(System.getenv("TIDEMARK_BIN"), "serve", "--quiet", "--port",
                    port, "--org", folder.resolve("org.db").toString()));
            if (tls) command.add("--tls");
            process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            base = new BufferedReader(new InputStreamReader(process.getInputStream())).readLine();
            port = String.valueOf(URI.create(base).getPort());
        }

        /** As kill -9 does it: nothing is flushed, nobody is told. */
        void kill() throws Exception {
            process.destroyForcibly().waitFor();
        }

        SSLContext trust() throws Exception {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            try (InputStream pem = Files.newInputStream(folder.resolve("org.db.ca.pem"))) {
                store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, factory.getTrustManagers(), null);
            return context;
        }

        @Override
        public void close() throws Exception {
            process.destroy();
            process.waitFor();
            try (var files = Files.walk(folder)) {
                files.sorted(Comparator.reverseOrder()).forEach(p -> p.toFile().delete());
            }
        }
    }

    static PartnerConnection soap(Mock mock) throws Exception {
        if (mock.tls) SSLContext.setDefault(mock.trust()); // what -Djavax.net.ssl.trustStore does to a whole program
        javax.net.ssl.HttpsURLConnection.setDefaultSSLSocketFactory(SSLContext.getDefault().getSocketFactory());
        ConnectorConfig config = new ConnectorConfig();
        config.setAuthEndpoint(mock.base + "/services/Soap/u/59.0");
        config.setUsername("integration@tidemark.example");
        config.setPassword("tidemarkTOKEN");
        return new PartnerConnection(config);
    }

    /** The id of the last event of each channel goes along with every subscription. */
    static class Replay implements ClientSession.Extension {
        final Map<String, Object> last = new HashMap<>();

        @Override
        public boolean rcv(ClientSession session, Message.Mutable message) {
            Map<String, Object> data = message.getDataAsMap();
            if (data != null && data.get("event") instanceof Map<?, ?> event)
                last.put(message.getChannel(), event.get("replayId"));
            return true;
        }

        @Override
        public boolean sendMeta(ClientSession session, Message.Mutable message) {
            if (Channel.META_HANDSHAKE.equals(message.getChannel())) message.getExt(true).put("replay", true);
            if (Channel.META_SUBSCRIBE.equals(message.getChannel())) message.getExt(true).put("replay", last);
            return true;
        }
    }

    static class Follower implements AutoCloseable {
        final BlockingQueue<Map<String, Object>> events = new LinkedBlockingQueue<>();
        final HttpClient http;
        final BayeuxClient client;

        Follower(Mock mock, String token, long from) throws Exception {
            SslContextFactory.Client ssl = new SslContextFactory.Client();
            if (mock.tls) ssl.setSslContext(mock.trust());
            ClientConnector connector = new ClientConnector();
            connector.setSslContextFactory(ssl);
            http = new HttpClient(new HttpClientTransportDynamic(connector));
            http.start();
            client = new BayeuxClient(mock.base + "/cometd/59.0", new JettyHttpClientTransport(null, http) {
                @Override
                protected void customize(Request request) {
                    request.headers(h -> h.put("Authorization", "OAuth " + token));
                }
            });
            Replay replay = new Replay();
            replay.last.put(CHANNEL, from);
            client.addExtension(replay);
            CountDownLatch subscribed = new CountDownLatch(1);
            // A new handshake has no subscriptions: whoever wants to go on subscribes whenever one succeeds.
            client.getChannel(Channel.META_HANDSHAKE).addListener(
                    (org.cometd.bayeux.client.ClientSessionChannel.MessageListener) (channel, message) -> {
                        if (message.isSuccessful())
                            client.getChannel(CHANNEL).subscribe((c, m) -> events.add(m.getDataAsMap()), reply -> {
                                if (reply.isSuccessful()) subscribed.countDown();
                            });
                    });
            client.handshake();
            check(subscribed.await(WAIT_S, TimeUnit.SECONDS), "a subscription");
        }

        /** changeType and Name of the next event. */
        @SuppressWarnings("unchecked")
        String next() throws Exception {
            Map<String, Object> data = events.poll(WAIT_S, TimeUnit.SECONDS);
            check(data != null, "an event");
            Map<String, Object> payload = (Map<String, Object>) data.get("payload");
            Map<String, Object> header = (Map<String, Object>) payload.get("ChangeEventHeader");
            return header.get("changeType") + " " + payload.get("Name");
        }

        @Override
        public void close() throws Exception {
            client.disconnect(TimeUnit.SECONDS.toMillis(WAIT_S));
            http.stop();
        }
    }

    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError("not so: " + what);
    }

    static void same(Object got, Object wanted) {
        check(wanted.equals(got), "\"" + got + "\" is \"" + wanted + "\"");
    }

    static String create(PartnerConnection soap, String name) throws Exception {
        SObject account = new SObject("Account");
        account.setField("Name", name);
        SaveResult made = soap.create(new SObject[] {account})[0];
        check(made.isSuccess(), "created");
        return made.getId();
    }

    static void every_write_by_soap_is_heard_by_cometd(boolean tls) throws Exception {
        try (Mock mock = new Mock(tls)) {
            PartnerConnection soap = soap(mock);
            try (Follower follower = new Follower(mock, soap.getConfig().getSessionId(), -1)) {
                String id = create(soap, "Tide & Co");
                SObject change = new SObject("Account");
                change.setId(id);
                change.setField("Industry", "Energy");
                check(soap.update(new SObject[] {change})[0].isSuccess(), "updated");
                check(soap.delete(new String[] {id})[0].isSuccess(), "deleted");
                check(soap.undelete(new String[] {id})[0].isSuccess(), "undeleted");
                same(follower.next(), "CREATE Tide & Co");
                same(follower.next(), "UPDATE null");
                same(follower.next(), "DELETE null");
                same(follower.next(), "UNDELETE Tide & Co");
                UndeleteResult again = soap.undelete(new String[] {id})[0];
                same(again.getErrors()[0].getStatusCode().toString(), "UNDELETE_FAILED");
            }
        }
    }

    static void every_write_by_soap_is_heard_by_cometd() throws Exception {
        every_write_by_soap_is_heard_by_cometd(false);
    }

    static void every_write_by_soap_is_heard_by_cometd_over_https() throws Exception {
        every_write_by_soap_is_heard_by_cometd(true);
    }

    static void a_killed_server_costs_the_java_client_nothing() throws Exception {
        try (Mock mock = new Mock(false)) {
            PartnerConnection soap = soap(mock);
            try (Follower follower = new Follower(mock, soap.getConfig().getSessionId(), -1)) {
                for (int i = 0; i < 20; i++) create(soap, "before " + i);
                for (int i = 0; i < 20; i++) same(follower.next(), "CREATE before " + i);
                mock.kill();
                mock.start();
                for (int i = 0; i < 20; i++) create(soap, "after " + i);
                for (int i = 0; i < 20; i++) same(follower.next(), "CREATE after " + i);
                check(follower.events.isEmpty(), "nothing comes twice");
            }
        }
    }

    static void soap_reads_page_by_page_and_faults_have_their_types() throws Exception {
        try (Mock mock = new Mock(false)) {
            PartnerConnection soap = soap(mock);
            soap.setQueryOptions(2000);
            QueryResult page = soap.query("SELECT Id, Name, Owner.Name, BillingAddress FROM Account");
            int total = page.getSize(), rows = page.getRecords().length;
            check(total > 2000, "several pages");
            check(page.getRecords()[0].getSObjectField("Owner") != null, "a related record");
            while (!page.isDone()) {
                page = soap.queryMore(page.getQueryLocator());
                rows += page.getRecords().length;
            }
            same(rows, total);
            String id = create(soap, "to read");
            same(soap.retrieve("Id,Name", "Account", new String[] {id})[0].getField("Name"), "to read");
            try {
                soap.query("SELECT Nmae FROM Account");
                check(false, "a fault");
            } catch (ApiFault fault) {
                same(fault.getClass().getSimpleName() + " " + fault.getExceptionCode(),
                        "InvalidFieldFault INVALID_FIELD");
            }
            soap.logout();
            try {
                soap.getUserInfo();
                check(false, "a fault");
            } catch (ApiFault fault) {
                same(fault.getExceptionCode().toString(), "INVALID_SESSION_ID");
            }
        }
    }

    interface Test {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Test> tests = new java.util.LinkedHashMap<>();
        tests.put("every write by SOAP is heard by CometD", JavaClients::every_write_by_soap_is_heard_by_cometd);
        tests.put("every write by SOAP is heard by CometD, over HTTPS",
                JavaClients::every_write_by_soap_is_heard_by_cometd_over_https);
        tests.put("a killed server costs the Java client nothing",
                JavaClients::a_killed_server_costs_the_java_client_nothing);
        tests.put("SOAP reads page by page, and faults have their types",
                JavaClients::soap_reads_page_by_page_and_faults_have_their_types);
        int failed = 0;
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            try {
                test.getValue().run();
                System.out.println("ok    " + test.getKey());
            } catch (Throwable e) {
                failed++;
                System.out.println("FAIL  " + test.getKey());
                e.printStackTrace();
            }
        }
        System.exit(failed > 0 ? 1 : 0);
    }
}
