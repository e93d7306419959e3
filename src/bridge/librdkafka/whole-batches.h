/* Inserted into rdkafka.h by insert.mjs: what logpipe's bridge asks of a message.
 *
 * With the consumer's property `logpipe.whole.batches` (off unless it is set) a record batch of
 * message format v2 comes as one message. Its payload is the batch's records as they lie in the
 * (decompressed) batch, its offset the batch's last one. What comes one record at a time as ever:
 * formats v0 and v1, and everything when the property is off. */

/** Counted up with each change that the bridge must know of. */
#define RD_KAFKA_WHOLE_BATCHES_VERSION 1

typedef struct rd_kafka_batch_s {
        int64_t base_offset;    /**< Records' offsets count from it. */
        int64_t from_offset;    /**< Records below it were not asked for. */
        int64_t base_timestamp; /**< Records' times count from it; ms. */
        int64_t max_timestamp;  /**< The latest; with append_time that of every record. */
        int32_t record_count;   /**< As the header says. */
        int append_time;        /**< The times are the broker's. */
} rd_kafka_batch_t;

/** @returns RD_KAFKA_WHOLE_BATCHES_VERSION that librdkafka was compiled with. */
RD_EXPORT int rd_kafka_whole_batches_version(const rd_kafka_t *rk);

/** @returns 1 and fills \p batch when the message is a whole batch, else 0. */
RD_EXPORT int rd_kafka_message_batch(const rd_kafka_message_t *rkmessage, rd_kafka_batch_t *batch);

/** The headers of a message that is one record, as they came; \p size 0: it has none. */
RD_EXPORT const void *rd_kafka_message_raw_headers(const rd_kafka_message_t *rkmessage,
                                                   size_t *size);
