/*
 * Stands in for ESXi's installer in QEMU: an EFI program that writes an installed stick over the stick it started from.
 *
 * As an installer (INSTALL defined) it reads a list of (from, to, count) in sectors at PAYLOAD, copies them on the only
 * removable disk, and resets the machine. Else it says that it was started, and switches the machine off.
 * Only what is used of the UEFI tables is declared (UEFI specification 2.10, chapters 4, 7, 12, 13).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define EFI __attribute__((ms_abi))

struct guid { u32 a; u16 b, c; u8 d[8]; };
struct text { void *reset; u64 (EFI *print)(struct text *, const u16 *); };
struct media { u32 id; u8 removable, present, logical, read_only, caching; u32 block; u32 align; u64 last; };
struct disk {
    u64 revision;
    struct media *media;
    void *reset;
    u64 (EFI *read)(struct disk *, u32 id, u64 lba, u64 size, void *);
    u64 (EFI *write)(struct disk *, u32 id, u64 lba, u64 size, const void *);
    u64 (EFI *flush)(struct disk *);
};
struct boot {
    u8 header[24];
    void *before_pool[5];
    u64 (EFI *allocate)(u32 kind, u64 size, void **);
    void *before_protocol[10];
    u64 (EFI *protocol)(void *handle, const struct guid *, void **);
    void *before_stall[11];
    u64 (EFI *stall)(u64 microseconds);
    void *before_locate[7];
    u64 (EFI *locate)(u32 how, const struct guid *, void *, u64 *count, void ***handles);
};
struct runtime { u8 header[24]; void *before_reset[10]; void (EFI *reset)(u32 kind, u64 status, u64 size, void *); };
struct system {
    u8 header[24];
    void *vendor;
    u32 revision;
    void *in_handle, *in, *out_handle;
    struct text *out;
    void *error_handle, *error;
    struct runtime *runtime;
    struct boot *boot;
};

#ifdef INSTALL
static struct disk *stick(struct system *table)
{
    static const struct guid block_io = {0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
    u64 count = 0, index;
    void **handles;
    struct disk *found;

    table->boot->locate(2, &block_io, 0, &count, &handles);
    for (index = 0; index < count; index++) {
        table->boot->protocol(handles[index], &block_io, (void **)&found);
        if (found->media->removable && found->media->present && !found->media->logical && found->media->block == 512)
            return found;
    }
    return 0;
}
#endif

EFI u64 start(void *image, struct system *table)
{
    table->out->print(table->out, SAYS);
#ifdef INSTALL
    struct disk *disk = stick(table);
    u64 *list, index;
    u8 *sectors;

    table->boot->stall(1500000);
    if (!disk) {
        table->out->print(table->out, u"install --firstdisk specified, but no suitable disk was found.\r\n");
        for (;;)
            table->boot->stall(1000000);
    }
    table->boot->allocate(2, 512, (void **)&list);
    table->boot->allocate(2, 512 * 2048, (void **)&sectors);
    disk->read(disk, disk->media->id, PAYLOAD, 512, list);
    for (index = 0; list[index * 3 + 2]; index++) {
        disk->read(disk, disk->media->id, list[index * 3], 512 * list[index * 3 + 2], sectors);
        disk->write(disk, disk->media->id, list[index * 3 + 1], 512 * list[index * 3 + 2], sectors);
    }
    disk->flush(disk);
    table->out->print(table->out, u"Installation complete.\r\n");
    table->runtime->reset(0, 0, 0, 0);
#endif
    table->runtime->reset(2, 0, 0, 0);
    return 0;
}
