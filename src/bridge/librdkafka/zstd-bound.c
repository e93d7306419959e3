/* Inserted into rdkafka_zstd.c by insert.mjs: how much memory a frame needs at most.
 *
 * Kafka's clients write frames that do not say how large their content is. librdkafka then guesses
 * twice the compressed size, and where that is too little it begins again from the start with three
 * times as much: of log lines, which zstd makes a third, half of the time went into tries that were
 * thrown away. A frame is blocks of at most 128 KiB of content, so counting their headers gives a
 * bound, which is reached but for the last block.
 *
 * https://datatracker.ietf.org/doc/html/rfc8878#section-3.1.1. What does not look like one frame
 * gets librdkafka's guess: it is no error here. */

#define RD_KAFKA_ZSTD_BLOCK (128 * 1024)

static unsigned long long
rd_kafka_zstd_bound(const char *inbuf, size_t inlen, unsigned long long guess) {
        static const unsigned char id_sizes[] = {0, 1, 2, 4}, size_sizes[] = {0, 2, 4, 8};
        const unsigned char *in  = (const unsigned char *)inbuf;
        unsigned long long bound = 0;
        size_t at                = 5; /* Behind the magic number and the descriptor. */
        int is_single, is_last;

        if (inlen < at)
                return guess;
        is_single = in[4] >> 5 & 1;
        at += !is_single + id_sizes[in[4] & 3] + (in[4] >> 6 ? size_sizes[in[4] >> 6] : is_single);
        do {
                unsigned header;
                int type;
                if (at > inlen || inlen - at < 3)
                        return guess;
                header  = in[at] | (unsigned)in[at + 1] << 8 | (unsigned)in[at + 2] << 16;
                is_last = header & 1;
                type    = header >> 1 & 3;
                /* A block that repeats one byte (type 1) has only that. */
                at += 3 + (type == 1 ? 1 : header >> 3);
                bound += RD_KAFKA_ZSTD_BLOCK;
        } while (!is_last);
        at += in[4] & 4; /* The checksum. */
        return at == inlen ? bound : guess;
}
