/* Inserted into rdkafka_msgset_reader.c by insert.mjs: one message for a whole record batch.
 *
 * librdkafka makes an operation of each record: it allocates it, counts two references, links it,
 * and the application pops and frees it. Of a record of 100 bytes that is nine tenths of the CPU.
 *
 * The operation's offset is the batch's last one, since librdkafka goes on, after a pause or a
 * seek, at "the offset popped + 1". The other numbers travel in fields that only librdkafka's
 * functions for single records read, and in those of the union that a consumer does not use. */

#define RD_KAFKA_MSG_F_WHOLE_BATCH 0x40000000 /* In rkm_flags; nobody else's there. */

/* Length, attributes, time, offset, key length, value length, header count: a byte each. */
#define RD_KAFKA_BATCH_RECORD_MIN 7

/* What lies behind the consumer's part of the union. */
#define rkm_batch_from_delta     rkm_u.producer.retries
#define rkm_batch_base_timestamp rkm_u.producer.errstr
/* What belongs to single records. */
#define rkm_batch_base_offset  rkm_u.consumer.binhdrs.data
#define rkm_batch_record_count rkm_u.consumer.wire_size

typedef char rd_kafka_batch_fields_are_free
    [offsetof(rd_kafka_msg_t, rkm_batch_from_delta) >=
                     offsetof(rd_kafka_msg_t, rkm_u.consumer.delivery_count) + sizeof(int16_t) &&
             sizeof(void *) == sizeof(int64_t)
         ? 1
         : -1];

static rd_kafka_resp_err_t rd_kafka_msgset_reader_batch_v2(rd_kafka_msgset_reader_t *msetr) {
        /* Of a compressed batch this is the decompressed buffer. */
        rd_kafka_buf_t *rkbuf           = msetr->msetr_rkbuf;
        const struct msgset_v2_hdr *hdr = msetr->msetr_v2_hdr;
        const int64_t asked             = msetr->msetr_rktp->rktp_offsets.fetch_pos.offset;
        const size_t size               = rd_kafka_buf_read_remain(rkbuf);
        const void *records             = rd_slice_ensure_contig(&rkbuf->rkbuf_reader, size);
        rd_kafka_op_t *rko;
        rd_kafka_msg_t *rkm;

        if (!records || hdr->BaseOffset < 0 || hdr->RecordCount > (int64_t)hdr->LastOffsetDelta + 1 ||
            (size_t)hdr->RecordCount > size / RD_KAFKA_BATCH_RECORD_MIN) {
                rd_kafka_consumer_err(&msetr->msetr_rkq, msetr->msetr_broker_id,
                                      RD_KAFKA_RESP_ERR__BAD_MSG, msetr->msetr_tver->version, NULL,
                                      msetr->msetr_rktp, hdr->BaseOffset,
                                      "MessageSet at offset %" PRId64
                                      ": its header says %" PRId32 " records up to offset +%" PRId32
                                      ", and it has %" PRIusz " bytes",
                                      hdr->BaseOffset, hdr->RecordCount, hdr->LastOffsetDelta, size);
                return RD_KAFKA_RESP_ERR__BAD_MSG;
        }

        rko = rd_kafka_op_new_fetch_msg(
            &rkm, msetr->msetr_rktp, msetr->msetr_tver->version, rkbuf,
            RD_KAFKA_FETCH_POS(hdr->BaseOffset + hdr->LastOffsetDelta, msetr->msetr_leader_epoch),
            0, NULL, size, records);
        rkm->rkm_flags |= RD_KAFKA_MSG_F_WHOLE_BATCH;
        rkm->rkm_broker_id            = msetr->msetr_broker_id;
        rkm->rkm_timestamp            = hdr->MaxTimestamp;
        rkm->rkm_tstype               = (hdr->Attributes & RD_KAFKA_MSG_ATTR_LOG_APPEND_TIME)
                                            ? RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME
                                            : RD_KAFKA_TIMESTAMP_CREATE_TIME;
        rkm->rkm_batch_base_offset    = (const void *)(uintptr_t)hdr->BaseOffset;
        rkm->rkm_batch_from_delta     = asked > hdr->BaseOffset ? (int)(asked - hdr->BaseOffset) : 0;
        rkm->rkm_batch_base_timestamp = (const char *)(uintptr_t)hdr->BaseTimestamp;
        rkm->rkm_batch_record_count   = hdr->RecordCount;

        rd_kafka_q_enq(&msetr->msetr_rkq, rko);
        msetr->msetr_msgcnt += hdr->RecordCount;
        msetr->msetr_msg_bytes += size;
        return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_whole_batches_version(const rd_kafka_t *rk) {
        (void)rk;
        return RD_KAFKA_WHOLE_BATCHES_VERSION;
}

int rd_kafka_message_batch(const rd_kafka_message_t *rkmessage, rd_kafka_batch_t *batch) {
        const rd_kafka_msg_t *rkm = rd_kafka_message2msg((rd_kafka_message_t *)rkmessage);

        if (rkmessage->err || !(rkm->rkm_flags & RD_KAFKA_MSG_F_WHOLE_BATCH))
                return 0;
        batch->base_offset    = (int64_t)(uintptr_t)rkm->rkm_batch_base_offset;
        batch->from_offset    = batch->base_offset + rkm->rkm_batch_from_delta;
        batch->base_timestamp = (int64_t)(uintptr_t)rkm->rkm_batch_base_timestamp;
        batch->max_timestamp  = rkm->rkm_timestamp;
        batch->record_count   = rkm->rkm_batch_record_count;
        batch->append_time    = rkm->rkm_tstype == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
        return 1;
}

const void *rd_kafka_message_raw_headers(const rd_kafka_message_t *rkmessage, size_t *size) {
        const rd_kafka_msg_t *rkm = rd_kafka_message2msg((rd_kafka_message_t *)rkmessage);

        *size = 0;
        if (rkmessage->err || (rkm->rkm_flags & RD_KAFKA_MSG_F_WHOLE_BATCH) ||
            rkm->rkm_u.consumer.binhdrs.len <= 0)
                return NULL;
        *size = (size_t)rkm->rkm_u.consumer.binhdrs.len;
        return rkm->rkm_u.consumer.binhdrs.data;
}
