                        /* Inserted into rdkafka_broker.c by insert.mjs: huge pages for large
                         * receive buffers.
                         *
                         * The kernel clears memory when it is first written to, page by page: of
                         * 4 KiB each that took a tenth of all CPU at 1 KB a record, and the search
                         * behind it ran at half its speed, because no processor reads ahead beyond
                         * such a page. Where the kernel hands out huge pages by advice
                         * (transparent_hugepage=madvise, the default of most), this asks for them;
                         * elsewhere it changes nothing.
                         *
                         * Rounded outward: a neighbour in the heap is most often another buffer. */
#if defined(__linux__) && defined(MADV_HUGEPAGE)
                        if (rkbuf->rkbuf_totlen >= RD_KAFKA_HUGE_PAGE) {
                                void *begin;
                                const size_t size =
                                    rd_buf_get_writable(&rkbuf->rkbuf_buf, &begin);
                                const uintptr_t from =
                                    (uintptr_t)begin & ~(uintptr_t)(RD_KAFKA_HUGE_PAGE - 1);
                                const size_t wanted = (uintptr_t)begin + size - from;
                                (void)madvise((void *)from,
                                              RD_ROUNDUP(wanted, RD_KAFKA_HUGE_PAGE),
                                              MADV_HUGEPAGE); /* Advice: it may be refused. */
                        }
#endif
