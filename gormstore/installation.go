package gormstore

import (
	"slices"

	"github.com/hostbond/hostbond/core"
)

// installationRow is a row of hostbond_installations.
//
// A row that is deleted stays behind as a tombstone: its key, its revision, and nothing else. The revision makes sure
// that none is used twice, be it by another replica that does not know of the deletion.
type installationRow struct {
	AppKey    text  `gorm:"column:app_key;primaryKey;not null;size:255;index:hostbond_installations_base_url,priority:1;index:hostbond_installations_installation_id,priority:1;index:hostbond_installations_bindings,priority:1"`
	ClientKey text  `gorm:"column:client_key;primaryKey;not null;size:255"`
	Revision  int64 `gorm:"column:revision;not null"`
	Deleted   bool  `gorm:"column:deleted;not null"`

	State   text `gorm:"column:state;size:64;not null"`
	Signing text `gorm:"column:signing;size:64;not null"`

	BaseURL                         text `gorm:"column:base_url;not null"`
	DisplayURL                      text `gorm:"column:display_url;not null"`
	DisplayURLServicedeskHelpCenter text `gorm:"column:display_url_servicedesk_help_center;not null"`
	ProductType                     text `gorm:"column:product_type;not null"`
	Description                     text `gorm:"column:description;not null"`
	ServerVersion                   text `gorm:"column:server_version;not null"`
	PluginsVersion                  text `gorm:"column:plugins_version;not null"`
	ServiceEntitlementNumber        text `gorm:"column:service_entitlement_number;not null"`
	EntitlementID                   text `gorm:"column:entitlement_id;not null"`
	EntitlementNumber               text `gorm:"column:entitlement_number;not null"`
	OAuthClientID                   text `gorm:"column:oauth_client_id;not null"`
	CloudID                         text `gorm:"column:cloud_id;not null"`
	InstallationID                  text `gorm:"column:installation_id;not null"`

	// For Find; see digest.
	BaseURLDigest        *int64 `gorm:"column:base_url_digest;index:hostbond_installations_base_url,priority:2"`
	InstallationIDDigest *int64 `gorm:"column:installation_id_digest;index:hostbond_installations_installation_id,priority:2"`

	Secrets        text   `gorm:"column:secrets;not null"`                                                    // see sealedSecret
	Bindings       *text  `gorm:"column:bindings;size:1040;index:hostbond_installations_bindings,priority:2"` // see needed
	SecretVersion  int64  `gorm:"column:secret_version;not null"`
	LastOffer      *int64 `gorm:"column:last_offer"`
	RunFingerprint text   `gorm:"column:run_fingerprint;size:64;not null"`
	RunStartedAt   *int64 `gorm:"column:run_started_at"`
	RunArrivedAt   *int64 `gorm:"column:run_arrived_at"`
	Proven         text   `gorm:"column:proven;size:64;not null"`
	Contested      bool   `gorm:"column:contested;not null"`

	Watermark           *int64 `gorm:"column:watermark"`
	Applied             []byte `gorm:"column:applied"` // 32 bytes each
	Disabled            bool   `gorm:"column:disabled;not null"`
	ActivationWatermark *int64 `gorm:"column:activation_watermark"`
	SupersededBy        text   `gorm:"column:superseded_by;size:255;not null"`

	// Not called CreatedAt and UpdatedAt, which GORM would set by its own clock.
	Created *int64 `gorm:"column:created_at"`
	Updated *int64 `gorm:"column:updated_at"`

	SeenAt            *int64 `gorm:"column:seen_at"`
	RefusedAt         *int64 `gorm:"column:refused_at"`
	RefusedReason     text   `gorm:"column:refused_reason;size:64;not null"`
	FirstUsed         text   `gorm:"column:first_used;size:64"`
	FirstUsedAt       *int64 `gorm:"column:first_used_at"`
	DesyncSuspectedAt *int64 `gorm:"column:desync_suspected_at"`
}

func (installationRow) TableName() string { return "hostbond_installations" }

var (
	keyColumns      = []string{"app_key", "client_key"}
	activityColumns = []string{ // written by Touch only
		"seen_at", "refused_at", "refused_reason", "first_used", "first_used_at", "desync_suspected_at",
	}
)

// row returns the installation as it is stored, but for its activity.
func (s *Store) row(i *core.Installation) (*installationRow, error) {
	secrets, err := s.seal(i.Key, i.Secrets)
	if err != nil {
		return nil, err
	}
	var applied []byte
	for _, id := range i.Applied {
		applied = append(applied, id[:]...)
	}
	return &installationRow{
		AppKey:    text(i.Key.AppKey),
		ClientKey: text(i.Key.ClientKey),
		Revision:  i.Revision,
		State:     text(i.State),
		Signing:   text(i.Signing),

		BaseURL:                         text(i.Site.BaseURL),
		DisplayURL:                      text(i.Site.DisplayURL),
		DisplayURLServicedeskHelpCenter: text(i.Site.DisplayURLServicedeskHelpCenter),
		ProductType:                     text(i.Site.ProductType),
		Description:                     text(i.Site.Description),
		ServerVersion:                   text(i.Site.ServerVersion),
		PluginsVersion:                  text(i.Site.PluginsVersion),
		ServiceEntitlementNumber:        text(i.Site.ServiceEntitlementNumber),
		EntitlementID:                   text(i.Site.EntitlementID),
		EntitlementNumber:               text(i.Site.EntitlementNumber),
		OAuthClientID:                   text(i.Site.OAuthClientID),
		CloudID:                         text(i.Site.CloudID),
		InstallationID:                  text(i.Site.InstallationID),
		BaseURLDigest:                   digest(i.Site.BaseURL),
		InstallationIDDigest:            digest(i.Site.InstallationID),

		Secrets:        text(secrets),
		Bindings:       needed(i),
		SecretVersion:  i.SecretVersion,
		LastOffer:      seconds(i.LastOffer),
		RunFingerprint: text(i.Run.Fingerprint),
		RunStartedAt:   seconds(i.Run.StartedAt),
		RunArrivedAt:   seconds(i.Run.ArrivedAt),
		Proven:         text(i.Proven),
		Contested:      i.Contested,

		Watermark:           seconds(i.Watermark),
		Applied:             applied,
		Disabled:            i.Disabled,
		ActivationWatermark: seconds(i.ActivationWatermark),
		SupersededBy:        text(i.SupersededBy),
		Created:             seconds(i.CreatedAt),
		Updated:             seconds(i.UpdatedAt),
	}, nil
}

// installation is the inverse of row. It cannot fail: a secret that does not open comes back sealed.
func (s *Store) installation(r *installationRow) *core.Installation {
	key := core.Key{AppKey: string(r.AppKey), ClientKey: string(r.ClientKey)}
	var applied [][32]byte
	for id := range slices.Chunk(r.Applied, 32) {
		var full [32]byte
		copy(full[:], id)
		applied = append(applied, full)
	}
	return &core.Installation{
		Key:      key,
		Revision: r.Revision,
		State:    core.State(r.State),
		Signing:  core.Signing(r.Signing),
		Site: core.Site{
			BaseURL:                         string(r.BaseURL),
			DisplayURL:                      string(r.DisplayURL),
			DisplayURLServicedeskHelpCenter: string(r.DisplayURLServicedeskHelpCenter),
			ProductType:                     string(r.ProductType),
			Description:                     string(r.Description),
			ServerVersion:                   string(r.ServerVersion),
			PluginsVersion:                  string(r.PluginsVersion),
			ServiceEntitlementNumber:        string(r.ServiceEntitlementNumber),
			EntitlementID:                   string(r.EntitlementID),
			EntitlementNumber:               string(r.EntitlementNumber),
			OAuthClientID:                   string(r.OAuthClientID),
			CloudID:                         string(r.CloudID),
			InstallationID:                  string(r.InstallationID),
		},
		Secrets:       s.open(key, string(r.Secrets)),
		SecretVersion: r.SecretVersion,
		LastOffer:     instant(r.LastOffer),
		Run: core.Run{
			Fingerprint: core.Fingerprint(r.RunFingerprint),
			StartedAt:   instant(r.RunStartedAt),
			ArrivedAt:   instant(r.RunArrivedAt),
		},
		Proven:              core.Fingerprint(r.Proven),
		Contested:           r.Contested,
		Watermark:           instant(r.Watermark),
		Applied:             applied,
		Disabled:            r.Disabled,
		ActivationWatermark: instant(r.ActivationWatermark),
		SupersededBy:        string(r.SupersededBy),
		CreatedAt:           instant(r.Created),
		UpdatedAt:           instant(r.Updated),
		Activity: core.Activity{
			SeenAt:            instant(r.SeenAt),
			RefusedAt:         instant(r.RefusedAt),
			RefusedReason:     core.ReasonCode(r.RefusedReason),
			FirstUsed:         core.Fingerprint(r.FirstUsed),
			FirstUsedAt:       instant(r.FirstUsedAt),
			DesyncSuspectedAt: instant(r.DesyncSuspectedAt),
		},
	}
}
