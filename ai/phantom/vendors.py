"""Vendor looks as data: what makes one maker's images and headers differ from another's.

The names are invented; the attributes are those of systems in use.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLook:
    """One make of mammography system.

    matrices: (rows, columns) of the small and the large detector field. stored_range: stored values (as shares of the
    largest) that signal 0 and 1 become; gamma bends between them. window: (centre, width) in stored values.
    noise: standard deviation of the signal for pixels of 0.1 mm. smoothing_mm: Gaussian blur of detector and
    processing. series_per_view: or all images in one series.
    """

    name: str
    manufacturer: str
    manufacturer_model_name: str
    software_versions: tuple[str, ...]
    device_serial_number: str
    station_name: str
    detector_id: str
    detector_type: str
    detector_description: str
    imager_pixel_spacing_mm: float
    matrices: tuple[tuple[int, int], tuple[int, int]]
    bits_stored: int
    photometric_interpretation: str
    stored_range: tuple[float, float]
    gamma: float
    noise: float
    smoothing_mm: float
    window: tuple[int, int]
    anode_target_material: str
    filter_material: str
    distance_source_to_detector_mm: int
    grid: tuple[str, ...]
    series_per_view: bool = True

    @property
    def largest_value(self) -> int:
        """The largest stored pixel value."""
        return (1 << self.bits_stored) - 1

    def matrix_for(self, height_mm: float, width_mm: float) -> tuple[int, int]:
        """The small field where a breast of that size fits, else the large one."""
        rows, columns = self.matrices[0]
        fits = height_mm <= rows * self.imager_pixel_spacing_mm and width_mm <= columns * self.imager_pixel_spacing_mm
        return self.matrices[0] if fits else self.matrices[1]


FJORDLYS = VendorLook(
    name="fjordlys",
    manufacturer="Fjordlys Imaging AS",
    manufacturer_model_name="Fjordlys Selma 70",
    software_versions=("FSW 3.4.1", "FPROC 2.2"),
    device_serial_number="70-01432",
    station_name="MAMMO1",
    detector_id="FD70-1432",
    detector_type="DIRECT",
    detector_description="amorphous selenium",
    imager_pixel_spacing_mm=0.07,
    matrices=((3328, 2560), (4096, 3328)),
    bits_stored=12,
    photometric_interpretation="MONOCHROME2",
    stored_range=(0.0, 1.0),
    gamma=0.95,
    noise=0.016,
    smoothing_mm=0.04,
    window=(2047, 4096),
    anode_target_material="TUNGSTEN",
    filter_material="RHODIUM",
    distance_source_to_detector_mm=700,
    grid=("RECIPROCATING", "FOCUSED"),
)
NORDVIK = VendorLook(
    name="nordvik",
    manufacturer="Nordvik Medical",
    manufacturer_model_name="Senja DR 100",
    software_versions=("Senja Acquisition 54.10",),
    device_serial_number="SD100-771",
    station_name="NVMG2",
    detector_id="CSI-0771",
    detector_type="SCINTILLATOR",
    detector_description="caesium iodide on amorphous silicon",
    imager_pixel_spacing_mm=0.1,
    matrices=((2294, 1914), (3062, 2394)),
    bits_stored=12,
    photometric_interpretation="MONOCHROME2",
    stored_range=(0.48, 0.86),
    gamma=0.85,
    noise=0.012,
    smoothing_mm=0.07,
    window=(2720, 1300),
    anode_target_material="RHODIUM",
    filter_material="RHODIUM",
    distance_source_to_detector_mm=660,
    grid=("RECIPROCATING", "FOCUSED"),
    series_per_view=False,
)
NORDVIK_FINE = VendorLook(
    name="nordvik-fine",
    manufacturer="Nordvik Medical",
    manufacturer_model_name="Senja DR 94",
    software_versions=("Senja Acquisition 55.2",),
    device_serial_number="SD94-208",
    station_name="NVMG3",
    detector_id="CSI-1208",
    detector_type="SCINTILLATOR",
    detector_description="caesium iodide on amorphous silicon",
    imager_pixel_spacing_mm=0.094,
    matrices=((2294, 1914), (3062, 2394)),
    bits_stored=13,
    photometric_interpretation="MONOCHROME2",
    stored_range=(0.30, 0.92),
    gamma=0.9,
    noise=0.012,
    smoothing_mm=0.06,
    window=(4800, 5000),
    anode_target_material="MOLYBDENUM",
    filter_material="RHODIUM",
    distance_source_to_detector_mm=660,
    grid=("RECIPROCATING", "FOCUSED"),
    series_per_view=False,
)
TINDRA = VendorLook(
    name="tindra",
    manufacturer="Tindra Röntgen",
    manufacturer_model_name="Tindra Inspira",
    software_versions=("VB 30 L", "OPVIEW 2.1"),
    device_serial_number="2685",
    station_name="TINDRA4",
    detector_id="L85-2685",
    detector_type="DIRECT",
    detector_description="amorphous selenium, large field",
    imager_pixel_spacing_mm=0.085,
    matrices=((2800, 2082), (3518, 2800)),
    bits_stored=12,
    photometric_interpretation="MONOCHROME2",
    stored_range=(0.05, 0.95),
    gamma=1.05,
    noise=0.014,
    smoothing_mm=0.05,
    window=(2048, 3700),
    anode_target_material="TUNGSTEN",
    filter_material="RHODIUM",
    distance_source_to_detector_mm=655,
    grid=("RECIPROCATING", "FOCUSED"),
)
HAVBLIK = VendorLook(
    name="havblik",
    manufacturer="Havblik X-ray",
    manufacturer_model_name="Havblik Mira",
    software_versions=("Mira 5.1.0",),
    device_serial_number="HM-0093",
    station_name="HAVMG1",
    detector_id="HB50-0093",
    detector_type="DIRECT",
    detector_description="amorphous selenium",
    imager_pixel_spacing_mm=0.1,
    matrices=((2364, 1770), (3000, 2370)),
    bits_stored=14,
    photometric_interpretation="MONOCHROME1",
    stored_range=(0.10, 0.90),
    gamma=1.0,
    noise=0.016,
    smoothing_mm=0.05,
    window=(8192, 13000),
    anode_target_material="TUNGSTEN",
    filter_material="ALUMINUM",
    distance_source_to_detector_mm=650,
    grid=("RECIPROCATING", "PARALLEL"),
)

VENDOR_LOOKS = (FJORDLYS, NORDVIK, NORDVIK_FINE, TINDRA, HAVBLIK)
