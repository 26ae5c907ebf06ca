/* What Linux cannot find by itself: the PCI host bridge, the few devices on fixed ports, the power
   button and the generation ID. Between @ signs:
   an expression of constants of the C++ headers (compile_dsdt.py). ACPI
   6.5: chapter 6 (device configuration), section 5.6.9 (generic event device), 7.4.2 (_S5). */
DefinitionBlock ("", "DSDT", 2, "STASIS", "STASIS", 1)
{
    Name (\_S5, Package () { @kSleepTypeS5@, @kSleepTypeS5@, 0, 0 })

    Scope (\_SB)
    {
        /* No _PRT: every function signals by MSI-X and has no interrupt pin. */
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, @kPciConfigAddress@, @kPciConfigAddress@, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0, @kPciConfigAddress - 1@, 0, @kPciConfigAddress@)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, @kPciConfigAddress + 8@, 0xFFFF, 0, @0x10000 - kPciConfigAddress - 8@)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, @kPciWindowStart@, @kPciWindowStart + kPciWindowSize - 1@, 0,
                    @kPciWindowSize@)
            })
        }

        /* Linux trusts the MCFG table only when the window is reserved here too. */
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, @kEcamStart@, @kEcamSize@)
                IO (Decode16, @kAcpiPm@, @kAcpiPm@, 1, @kAcpiPmSize@)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, @kCom1@, @kCom1@, 1, 8)
                IRQNoFlags () { @kCom1Gsi@ }
            })
        }

        Device (RTC0)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, @kCmos@, @kCmos@, 1, 2)
                IRQNoFlags () { @kRtcGsi@ }
            })
        }

        /* Linux drivers/misc/pvpanic, QEMU docs/specs/pvpanic */
        Device (PVPN)
        {
            Name (_HID, "QEMU0001")
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, @kPvPanic@, @kPvPanic@, 1, 1)
            })
        }

        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
        }

        /* Microsoft, "Virtual Machine Generation ID", 2012: ADDR is { low half, high half } */
        Device (VGEN)
        {
            Name (_HID, "STAS0001")
            Name (_CID, Package () { "VM_Gen_Counter", "VMGENCTR" })
            Name (_DDN, "VM_Gen_Counter")
            Name (ADDR, Package () { @kVmGenId@, 0 })
        }

        /* devices/legacy/acpi_pm.h: reading the register takes the events out and drops the line */
        Device (GED0)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { @kEventsGsi@ }
            })
            OperationRegion (PMRG, SystemIO, @kAcpiPm + kEvents@, 1)
            Field (PMRG, ByteAcc, NoLock, Preserve)
            {
                EVTS, 8
            }
            Method (_EVT, 1, Serialized)
            {
                Local0 = EVTS
                If (Local0 & @kPowerButtonEvent@)
                {
                    Notify (PWRB, 0x80)
                }
                If (Local0 & @kGenerationEvent@)
                {
                    Notify (VGEN, 0x80)
                }
            }
        }
    }
}
