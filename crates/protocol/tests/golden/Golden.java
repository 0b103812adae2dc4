import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.utils.BufferSupplier;

/** Writes the golden files with Kafka's own classes (kafka-clients 3.9.2, the last with all formats). */
public class Golden {
    static final Header[] NONE = new Header[0];

    static byte[] bytes(String s) {
        return s == null ? null : s.getBytes(StandardCharsets.UTF_8);
    }

    static void append(MemoryRecordsBuilder b, boolean headers, long offset, long ts, String k, String v, Header... h) {
        b.appendWithOffset(offset, ts, bytes(k), bytes(v), headers ? h : NONE);
    }

    static MemoryRecords records(byte magic, CompressionType codec, TimestampType type, boolean txn, long first) {
        MemoryRecordsBuilder b = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), magic, Compression.of(codec).build(),
            type, first, 1_700_000_099_000L, txn ? 4711L : -1L, (short) (txn ? 3 : -1), txn ? 77 : -1, txn, false, 9, 1 << 16);
        boolean h = magic == 2;
        append(b, h, first, 1_700_000_000_000L, "key", "value", new RecordHeader("a", bytes("1")),
            new RecordHeader("a", null), new RecordHeader("", bytes("2")), new RecordHeader("b", new byte[0]));
        append(b, h, first + 1, 1_700_000_000_500L, null, "no key");
        append(b, h, first + 2, 1_699_999_999_000L, "tombstone", null);
        append(b, h, first + 3, 1_700_000_000_001L, "", "");
        for (int i = 4; i < 40; i++)
            append(b, h, first + i, 1_700_000_000_000L + 100 * i, "key-" + i, "value ".repeat(i % 12), new RecordHeader("i", bytes("" + i)));
        return b.build();
    }

    static void write(Path dir, String name, ByteBuffer buffer) throws Exception {
        byte[] all = new byte[buffer.remaining()];
        buffer.duplicate().get(all);
        Files.write(dir.resolve(name + ".bin"), all);
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        for (byte magic = 0; magic <= 2; magic++)
            for (CompressionType codec : CompressionType.values()) {
                if (codec == CompressionType.ZSTD && magic < 2) continue;
                write(dir, "v" + magic + "-" + codec.name, records(magic, codec, TimestampType.CREATE_TIME, false, 1000).buffer());
            }
        write(dir, "v1-gzip-append", records((byte) 1, CompressionType.GZIP, TimestampType.LOG_APPEND_TIME, false, 1000).buffer());
        write(dir, "v2-none-append", records((byte) 2, CompressionType.NONE, TimestampType.LOG_APPEND_TIME, false, 1000).buffer());
        write(dir, "v2-lz4-txn", records((byte) 2, CompressionType.LZ4, TimestampType.CREATE_TIME, true, 1000).buffer());
        for (ControlRecordType kind : new ControlRecordType[] {ControlRecordType.ABORT, ControlRecordType.COMMIT})
            write(dir, "v2-" + kind.name().toLowerCase(), MemoryRecords.withEndTransactionMarker(500, 1_700_000_000_000L, 9, 4711, (short) 3,
                new EndTransactionMarker(kind, 12)).buffer());
        // Compaction: every third record stays; then none does and the batch is kept for its producer.
        for (int keep : new int[] {3, 0}) {
            ByteBuffer out = ByteBuffer.allocate(1 << 16);
            MemoryRecords source = records((byte) 2, CompressionType.NONE, TimestampType.CREATE_TIME, true, 1000);
            source.filterTo(new org.apache.kafka.common.TopicPartition("t", 0), new MemoryRecords.RecordFilter(0, 0) {
                protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                    return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
                }
                protected boolean shouldRetainRecord(RecordBatch batch, org.apache.kafka.common.record.Record record) {
                    return keep != 0 && record.offset() % keep == 0;
                }
            }, out, 1 << 16, BufferSupplier.NO_CACHING);
            out.flip();
            write(dir, keep == 0 ? "v2-emptied" : "v2-compacted", out);
        }
    }
}
