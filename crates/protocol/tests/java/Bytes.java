import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;
import java.util.TreeSet;

import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Reads lines of "class version bytes-in-hex", has Kafka's own class read the bytes and write them
 * again, and reports what differs and which versions this Kafka does not know. The last line counts
 * the lines that came out equal.
 */
public class Bytes {
    private static final Set<String> UNKNOWN = new TreeSet<>();
    private static int equal, different;

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            check(line.split(" ", -1));
        }
        UNKNOWN.forEach(it -> System.out.println("unknown " + it));
        System.out.println(equal);
    }

    private static void check(String[] parts) throws Exception {
        short version = Short.parseShort(parts[1]);
        Message message;
        try {
            message = (Message) Class.forName("org.apache.kafka.common.message." + parts[0])
                .getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException e) {
            UNKNOWN.add(parts[0] + " " + parts[1]);
            return;
        }
        if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
            UNKNOWN.add(parts[0] + " " + parts[1]);
            return;
        }
        try {
            byte[] bytes = HexFormat.of().parseHex(parts[2]);
            ByteBufferAccessor from = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
            message.read(from, version);
            if (from.remaining() != 0) {
                throw new Exception(from.remaining() + " bytes left");
            }
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer to = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(to), cache, version);
            if (!Arrays.equals(to.array(), bytes)) {
                throw new Exception("written otherwise: " + HexFormat.of().formatHex(to.array()));
            }
            equal++;
        } catch (Throwable e) {
            different++;
            if (different <= 10) {
                String line = "different " + parts[0] + " " + parts[1] + ": " + e + " " + parts[2];
                System.out.println(line.substring(0, Math.min(line.length(), 2000)));
            }
        }
    }
}
