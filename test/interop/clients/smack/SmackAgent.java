// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.jivesoftware.smack.ConnectionConfiguration;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.XMPPException;
import org.jivesoftware.smack.filter.MessageWithBodiesFilter;
import org.jivesoftware.smack.packet.Message;
import org.jivesoftware.smack.packet.StanzaError;
import org.jivesoftware.smack.roster.PresenceEventListener;
import org.jivesoftware.smack.roster.Roster;
import org.jivesoftware.smack.tcp.XMPPTCPConnection;
import org.jivesoftware.smack.tcp.XMPPTCPConnectionConfiguration;
import org.jivesoftware.smackx.iot.Thing;
import org.jivesoftware.smackx.iot.control.IoTControlManager;
import org.jivesoftware.smackx.iot.control.element.SetBoolData;
import org.jivesoftware.smackx.iot.control.element.SetData;
import org.jivesoftware.smackx.iot.control.element.SetDoubleData;
import org.jivesoftware.smackx.iot.control.element.SetIntData;
import org.jivesoftware.smackx.iot.data.IoTDataManager;
import org.jivesoftware.smackx.iot.data.element.IoTDataField;
import org.jivesoftware.smackx.iot.data.element.IoTFieldsExtension;
import org.jivesoftware.smackx.iot.data.element.NodeElement;
import org.jivesoftware.smackx.iot.data.element.TimestampElement;
import org.jivesoftware.smackx.iot.discovery.AbstractThingStateChangeListener;
import org.jivesoftware.smackx.iot.discovery.IoTClaimedException;
import org.jivesoftware.smackx.iot.discovery.IoTDiscoveryManager;
import org.jivesoftware.smackx.iot.discovery.ThingState;
import org.jivesoftware.smackx.iot.discovery.element.Tag;
import org.jivesoftware.smackx.iot.provisioning.IoTProvisioningManager;
import org.jivesoftware.smackx.ping.PingManager;
import org.jxmpp.jid.BareJid;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.FullJid;
import org.jxmpp.jid.Jid;
import org.jxmpp.jid.impl.JidCreate;

/**
 * Smack on a string: it does what its standard input says and tells what happens on its standard output, a line each, as
 * package interop describes. It can be a thing as well as somebody who claims, reads and sets things.
 *
 * <pre>java SmackAgent.java JID PASSWORD HOST PORT CAFILE</pre>
 */
public class SmackAgent {
    private final XMPPTCPConnection connection;
    private Thing thing;

    SmackAgent(String jid, String password, String host, int port, String authority) throws Exception {
        SmackConfiguration.setDefaultReplyTimeout(10_000);
        EntityBareJid account = JidCreate.entityBareFrom(jid);
        connection = new XMPPTCPConnection(XMPPTCPConnectionConfiguration.builder()
            .setXmppDomain(account.asDomainBareJid())
            .setHostAddress(java.net.InetAddress.getByName(host))
            .setPort(port)
            .setUsernameAndPassword(account.getLocalpart().toString(), password)
            .setSecurityMode(ConnectionConfiguration.SecurityMode.required)
            .setCustomX509TrustManager(trusting(authority)) // a context of ours would be initialized again, with the system's
            .build());
        Roster roster = Roster.getInstanceFor(connection);
        roster.setSubscriptionMode(Roster.SubscriptionMode.manual);
        roster.addSubscribeListener((from, request) -> {
            tell("asked", from.asBareJid());
            return null;
        });
        roster.addPresenceEventListener(new PresenceEventListener() {
            @Override public void presenceAvailable(FullJid a, org.jivesoftware.smack.packet.Presence p) {
                tell("presence", a.asBareJid(), p.isAway() ? "away" : "available", a.getResourceOrEmpty());
                tell("at", a.asBareJid(), a);
            }
            @Override public void presenceUnavailable(FullJid a, org.jivesoftware.smack.packet.Presence p) {
                tell("presence", a.asBareJid(), "unavailable", a.getResourceOrEmpty());
            }
            @Override public void presenceError(Jid a, org.jivesoftware.smack.packet.Presence p) { }
            @Override public void presenceSubscribed(BareJid a, org.jivesoftware.smack.packet.Presence p) { tell("accepted", a); }
            @Override public void presenceUnsubscribed(BareJid a, org.jivesoftware.smack.packet.Presence p) { tell("dropped", a); }
        });
        // Not by its ChatManager, for which services are nobody.
        connection.addAsyncStanzaListener(stanza -> tell("message", stanza.getFrom().asBareJid(), ((Message) stanza).getBody()),
            MessageWithBodiesFilter.INSTANCE);
    }

    static X509TrustManager trusting(String authority) throws Exception {
        try (FileInputStream in = new FileInputStream(authority)) {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(in));
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            return (X509TrustManager) trust.getTrustManagers()[0];
        }
    }

    static synchronized void tell(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() > 0 ? " " : "").append(Objects.toString(word).replaceAll("\\s+", " "));
        }
        System.out.println(line);
        System.out.flush();
    }

    void obey(String[] w) throws Exception {
        switch (w[0]) {
        case "connect" -> {
            connection.connect().login();
            tell("online", connection.getUser());
        }
        case "leave" -> {
            connection.disconnect();
            tell("disconnected");
        }
        case "ping" -> tell(PingManager.getInstanceFor(connection).ping(JidCreate.from(w[1])) ? "pong" : "silence", w[1]);
        case "say" -> connection.sendStanza(connection.getStanzaFactory().buildMessageStanza()
            .ofType(Message.Type.chat).to(w[1]).setBody(rest(w, 2)).build());
        case "add" -> Roster.getInstanceFor(connection).sendSubscriptionRequest(JidCreate.bareFrom(w[1]));
        case "accept" -> connection.sendStanza(connection.getStanzaFactory().buildPresenceStanza()
            .ofType(org.jivesoftware.smack.packet.Presence.Type.subscribed).to(w[1]).build());
        case "registry" -> tell("registry", IoTDiscoveryManager.getInstanceFor(connection).findRegistry());
        case "provisioning" -> tell("provisioning", IoTProvisioningManager.getInstanceFor(connection).findProvisioningServerComponent());
        case "thing" -> thing(w[1], w[2]);
        case "register" -> register();
        case "claim" -> tell("claimed", IoTDiscoveryManager.getInstanceFor(connection).claimThing(tags(w[1], w[2])).getJid());
        case "disown" -> {
            IoTDiscoveryManager.getInstanceFor(connection).disownThing(JidCreate.from(w[1]));
            tell("disowned", w[1]);
        }
        case "friend" -> tell(IoTProvisioningManager.getInstanceFor(connection).isFriend(
            IoTProvisioningManager.getInstanceFor(connection).getConfiguredProvisioningServer(), JidCreate.bareFrom(w[1])) ? "friend" : "stranger", w[1]);
        case "read" -> read(w[1]);
        case "set" -> {
            List<SetData> data = new ArrayList<>();
            data.add(switch (w[2]) {
            case "boolean" -> new SetBoolData(w[3], Boolean.parseBoolean(w[4]));
            case "int" -> new SetIntData(w[3], Integer.parseInt(w[4]));
            default -> new SetDoubleData(w[3], Double.parseDouble(w[4]));
            });
            IoTControlManager.getInstanceFor(connection).setUsingIq(JidCreate.fullFrom(w[1]), data);
            tell("set", w[1], w[3], w[4]);
        }
        default -> tell("unknown", w[0]);
        }
    }

    /** Reads a thing, and tells each field. */
    void read(String from) throws Exception {
        for (IoTFieldsExtension fields : IoTDataManager.getInstanceFor(connection).requestMomentaryValuesReadOut(JidCreate.entityFullFrom(from))) {
            for (NodeElement node : fields.getNodes()) {
                for (TimestampElement timestamp : node.getTimestampElements()) {
                    for (IoTDataField field : timestamp.getDataFields()) {
                        tell("field", from, field.getName(), field.getValueString());
                    }
                }
            }
        }
        tell("read", from);
    }

    /** Is a thing with a temperature to read and a lamp to switch. */
    void thing(String serial, String key) {
        thing = Thing.builder().setManufacturer("Ignite").setModel("Smack").setSerialNumber(serial).setKey(key)
            .setMomentaryReadOutRequestHandler(result -> {
                List<IoTDataField> fields = new ArrayList<>();
                fields.add(new IoTDataField.IntField("temperature", 23));
                fields.add(new IoTDataField.BooleanField("lamp", true));
                result.momentaryReadOut(fields);
            })
            .setControlRequestHandler((from, data) -> {
                for (SetData d : data) {
                    if (!d.getName().equals("lamp")) {
                        throw new XMPPException.XMPPErrorException(null, StanzaError.getBuilder(StanzaError.Condition.item_not_found).build());
                    }
                    tell("control", from.asBareJid(), d.getName(), d.getValue());
                }
            }).build();
        IoTDataManager.getInstanceFor(connection).installThing(thing);
        IoTControlManager.getInstanceFor(connection).installThing(thing);
        tell("ready");
    }

    /** Registers the thing. */
    void register() throws Exception {
        try {
            ThingState state = IoTDiscoveryManager.getInstanceFor(connection).registerThing(thing);
            state.setThingStateChangeListener(new AbstractThingStateChangeListener() {
                @Override public void owned(BareJid owner) { tell("owned", owner); }
            });
            tell("registered", state.getRegistry());
        } catch (IoTClaimedException e) {
            tell("owned", e.getIoTClaimed().getJid());
        }
    }

    static List<Tag> tags(String serial, String key) {
        List<Tag> tags = new ArrayList<>();
        tags.add(new Tag("MAN", Tag.Type.str, "Ignite"));
        tags.add(new Tag("MODEL", Tag.Type.str, "Smack"));
        tags.add(new Tag("SN", Tag.Type.str, serial));
        tags.add(new Tag("KEY", Tag.Type.str, key));
        return tags;
    }

    static String rest(String[] words, int from) {
        return String.join(" ", List.of(words).subList(from, words.length));
    }

    public static void main(String[] args) throws Exception {
        SmackAgent agent = new SmackAgent(args[0], args[1], args[2], Integer.parseInt(args[3]), args[4]);
        tell("smack");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            try {
                agent.obey(words);
            } catch (XMPPException.XMPPErrorException e) {
                tell("error", words[0], e.getStanzaError().getCondition());
            } catch (Exception e) {
                tell("failed", words[0], e);
            }
        }
        agent.connection.disconnect();
        System.exit(0);
    }
}
